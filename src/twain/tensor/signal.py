"""Short-time Fourier transforms, with PyTorch's arguments."""

from __future__ import annotations

from .. import _core
from ..ops import stft as ops

Tensor = _core.Tensor


def stft(
    x: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool = True,
) -> Tensor:  # fmt: skip
    """The transforms of windows of a signal, one every hop_length places: (..., length) -> (..., frequencies, windows).

    n_fft: places per transform; hop_length is n_fft // 4 by default; window: a tensor of win_length (by default n_fft)
    numbers by which each is multiplied, padded with zeros on both sides to n_fft; None: ones. center: the signal is padded
    by n_fft // 2 on both sides (as `pad` does with pad_mode), so that window t is around place t * hop_length. normalized:
    divide by sqrt(n_fft). onesided: n_fft // 2 + 1 frequencies; the default for real signals and windows.
    return_complex=False gives real and imaginary parts as a last axis.
    """
    return ops.stft(
        x, window, n_fft, hop_length, win_length, center, pad_mode, normalized, onesided, return_complex
    )  # fmt: skip


def istft(
    x: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` (with the same arguments) is nearest to x: (..., frequencies, windows) -> (..., length).

    length: of the signal, cut or continued with zeros; by default what the windows cover. Where no window reaches the
    result is NaN. D. Griffin and J. Lim, Signal estimation from modified short-time Fourier transform (1984).
    """
    return ops.istft(
        x, window, n_fft, hop_length, win_length, center, normalized, onesided, length, return_complex
    )  # fmt: skip


__all__ = ["istft", "stft"]
