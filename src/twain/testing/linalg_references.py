"""NumPy definitions for what the op table has of complex numbers, linear algebra and Fourier transforms."""

from __future__ import annotations

import numpy as np


def complex_of(real, imag):
    """real + 1j * imag, part by part."""
    result = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), dtype="complex128")
    result.real, result.imag = real, imag
    return result


def polar(size, angle):
    """A complex number from its absolute value and angle."""
    return size * np.exp(1j * angle)
