"""Resampling and rearranging of images by definition, in NumPy: what the op table compares with."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .conv_references import _each, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d


def at(*index):
    """An index of several parts, written with stars."""
    return index


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """Patches as columns."""
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = (_each(v, 2) for v in (kernel_size, dilation, padding, stride))
    x = np.pad(x, (*((0, 0),) * (x.ndim - 2), (ph, ph), (pw, pw)))
    *lead, h, w = x.shape
    columns = []
    for i in range(0, h - dh * (kh - 1), sh):
        for j in range(0, w - dw * (kw - 1), sw):
            patch = x[..., i : i + dh * (kh - 1) + 1 : dh, j : j + dw * (kw - 1) + 1 : dw]
            columns.append(patch.reshape(*lead[:-1], lead[-1] * kh * kw))
    return np.stack(columns, -1)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Patches added into an image."""
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = (_each(v, 2) for v in (kernel_size, dilation, padding, stride))
    h, w = (d + 2 * p for d, p in zip(_each(output_size, 2), (ph, pw)))
    lead, channels = x.shape[:-2], x.shape[-2] // (kh * kw)
    result = np.zeros((*lead, channels, h, w), dtype=x.dtype)
    column = 0
    for i in range(0, h - dh * (kh - 1), sh):
        for j in range(0, w - dw * (kw - 1), sw):
            patch = x[..., column].reshape(*lead, channels, kh, kw)
            result[..., i : i + dh * (kh - 1) + 1 : dh, j : j + dw * (kw - 1) + 1 : dw] += patch
            column += 1
    return result[..., ph : h - ph, pw : w - pw]


def pixel_shuffle(x, r):
    *lead, c, h, w = x.shape
    result = np.empty((*lead, c // (r * r), h * r, w * r), dtype=x.dtype)
    for i, j in itertools.product(range(r), repeat=2):
        result[..., i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return result


def pixel_unshuffle(x, r):
    *lead, c, h, w = x.shape
    result = np.empty((*lead, c * r * r, h // r, w // r), dtype=x.dtype)
    for i, j in itertools.product(range(r), repeat=2):
        result[..., i * r + j :: r * r, :, :] = x[..., i::r, j::r]
    return result


def channel_shuffle(x, groups):
    each = x.shape[1] // groups
    return x[:, [g * each + k for k in range(each) for g in range(groups)]]


# ---------------------------------------------------------------- interpolation
def _cubic(distance, a):
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def _weights(length, count, scale, mode, align, antialias):
    """The matrix (count, length) of one axis."""
    matrix = np.zeros((count, length))
    for i in range(count):
        if mode.startswith("nearest"):
            at = (i + (0.5 if mode == "nearest-exact" else 0)) * scale
            matrix[i, min(math.floor(at), length - 1)] = 1
            continue
        if align:
            step = (length - 1) / (count - 1) if count > 1 else 0.0
        if antialias:
            wide = max(scale if not align or count == 1 else step, 1.0)
            center = (i + 0.5) * (scale if not align or count == 1 else step)
            support = wide * (2 if mode == "bicubic" else 1)
            row = np.zeros(length)
            for j in range(max(0, math.floor(center - support + 0.5)), min(length, math.floor(center + support + 0.5))):
                d = (j - center + 0.5) / wide
                row[j] = _cubic(d, -0.5) if mode == "bicubic" else max(0.0, 1 - abs(d))
            matrix[i] = row / row.sum()
            continue
        at = i * step if align else (i + 0.5) * scale - 0.5
        if mode == "bicubic":
            first = math.floor(at)
            for k in range(-1, 3):
                matrix[i, min(max(first + k, 0), length - 1)] += _cubic(at - first - k, -0.75)
        else:
            at = max(at, 0.0)
            first = min(math.floor(at), length - 1)
            matrix[i, first] += 1 - (at - first)
            matrix[i, min(first + 1, length - 1)] += at - first
    return matrix


def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    """The product with each axis' matrix of weights."""
    x = np.asarray(x)
    axes = x.ndim - 2
    lengths = x.shape[2:]
    factors = None
    if scale_factor is not None:
        factors = (scale_factor,) * axes if isinstance(scale_factor, (int, float)) else scale_factor
        size = tuple(int(d * f) for d, f in zip(lengths, factors))
    size = _each(size, axes)
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[axes - 1](x, size)
    for a, (length, count) in enumerate(zip(lengths, size), 2):
        scale = 1 / factors[a - 2] if factors and not recompute_scale_factor else length / count
        if mode == "nearest" and axes == 2 and count in (length, 2 * length):
            scale = length / count
        if mode.endswith("linear") and count == length and not antialias:
            continue
        matrix = _weights(length, count, scale, mode, align_corners, antialias)
        x = np.moveaxis(np.moveaxis(x, a, -1) @ matrix.T.astype(x.dtype), -1, a)
    return x


# ---------------------------------------------------------------- sampling
def _reflected(at, low, high):
    if high <= low:
        return 0.0
    while not low <= at <= high:
        at = 2 * low - at if at < low else 2 * high - at
    return at


def _inside(at, length, padding, align):
    if padding == "reflection":
        at = _reflected(at, 0, length - 1) if align else _reflected(at, -0.5, length - 0.5)
    return at if padding == "zeros" else min(max(at, 0), length - 1)


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Point by point."""
    x, grid = np.asarray(x, dtype="float64"), np.asarray(grid, dtype="float64")
    lengths = x.shape[2:]
    result = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for point_at in np.ndindex(*grid.shape[:-1]):
        point = []
        for g, length in zip(grid[point_at][::-1], lengths):
            v = (g + 1) / 2 * (length - 1) if align_corners else ((g + 1) * length - 1) / 2
            point.append(v if mode == "bicubic" else _inside(v, length, padding_mode, align_corners))
        choices = []
        for v, length in zip(point, lengths):
            first = math.floor(v)
            if mode == "nearest":
                choices.append([(round(v), 1.0)])
            elif mode == "bilinear":
                choices.append([(first, 1 - (v - first)), (first + 1, v - first)])
            else:
                choices.append([(_inside(first + k, length, padding_mode, align_corners), _cubic(v - first - k, -0.75))
                                for k in range(-1, 3)])  # fmt: skip
        for corner in itertools.product(*choices):
            places = [int(p) for p, _ in corner]
            if all(0 <= p < d for p, d in zip(places, lengths)):
                result[at(point_at[0], slice(None), *point_at[1:])] += x[
                    at(point_at[0], slice(None), *places)
                ] * math.prod(w for _, w in corner)
    return result


def affine_grid(theta, size, align_corners=None):
    """Every place of a result as a point of the input."""
    n, _, *lengths = size
    result = np.empty((n, *lengths, len(lengths)))
    for place in np.ndindex(*lengths):
        point = [2 * i / (d - 1) - 1 if align_corners and d > 1 else 0.0 if align_corners else (2 * i + 1) / d - 1
                 for i, d in zip(place, lengths)]  # fmt: skip
        result[at(slice(None), *place)] = theta @ np.array([*point[::-1], 1.0])
    return result
