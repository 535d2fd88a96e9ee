"""Discrete Fourier transforms: three linear maps, and what users call made of them. They are done by kernels
(`codegen/fourier.py`), lengths with large primes by NumPy (pocketfft).

Each map has a direction and a scale: "one", "ortho" (1 / sqrt(n)) or "mean" (1 / n), n the number of transformed elements.
The adjoint of a map is that of the other direction with the same scale, so derivatives of any order follow. Single
precision stays single.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import complex_of, real_of, strengthen
from ..base.errors import ArgumentError, AxisError, DTypeError, ShapeError, ValueRangeError
from ..base.lazy import LazyModule
from ..base.shapes import as_index, normalize_axis
from ..ir.node import Spec
from .arrange import part
from .elementwise import cast, conj, equal, logical_or, multiply, where
from .families import composite
from .host import host
from .index import iota
from .samples import Samples
from .shape import embed, reshape

numpy = LazyModule("numpy")

_REFERENCES = "twain.testing.linalg_references."
_FORWARD = {"one": "backward", "ortho": "ortho", "mean": "forward"}
_INVERSE = {"one": "forward", "ortho": "ortho", "mean": "backward"}
_COMPLEX = (dt.complex64, dt.complex128)


# ---------------------------------------------------------------- the three maps
def _run_complex(attrs, x, out):
    axes, inverse, scale = attrs
    if not x.size:
        return
    norm = (_INVERSE if inverse else _FORWARD)[scale]
    if len(axes) == 1:
        out[0][...] = (numpy.fft.ifft if inverse else numpy.fft.fft)(x, None, axes[0], norm)
    else:
        out[0][...] = (numpy.fft.ifftn if inverse else numpy.fft.fftn)(x, axes=axes, norm=norm)


def _run_halved(attrs, x, out):
    axes, scale = attrs
    if not x.size:
        return
    if len(axes) == 1:
        out[0][...] = numpy.fft.rfft(x, None, axes[0], _FORWARD[scale])
    else:
        out[0][...] = numpy.fft.rfftn(x, axes=axes, norm=_FORWARD[scale])


def _run_restored(attrs, x, out):
    axes, scale, size = attrs
    if not x.size:
        return
    if len(axes) == 1:
        out[0][...] = numpy.fft.irfft(x, size, axes[0], _INVERSE[scale])
    else:
        sizes = [*(x.shape[a] for a in axes[:-1]), size]
        out[0][...] = numpy.fft.irfftn(x, s=sizes, axes=axes, norm=_INVERSE[scale])


def _check(name: str, spec: Spec, dtypes: tuple) -> None:
    if strengthen(spec.dtype) not in dtypes:
        raise DTypeError(f"[{name}] expected dtypes among {', '.join(d.name for d in dtypes)}, got {spec.dtype}")


def _complex_infer(attrs, x):
    _check("fft", x, _COMPLEX)
    return Spec(x.dtype, x.shape)


def _with_size(shape: tuple, axis: int, size: int) -> tuple:
    return tuple(size if i == axis else d for i, d in enumerate(shape))


def _halved_infer(attrs, x):
    _check("rfft", x, (dt.float32, dt.float64))
    last = attrs[0][-1]
    return Spec(complex_of(x.dtype), _with_size(x.shape, last, x.shape[last] // 2 + 1))


def _restored_infer(attrs, x):
    _check("irfft", x, _COMPLEX)
    return Spec(real_of(x.dtype), _with_size(x.shape, attrs[0][-1], attrs[2]))


def _complex_vjp(attrs, g, inputs, outputs, needs):
    axes, inverse, scale = attrs
    return [full_transform(g[0], axes, not inverse, scale)]


def _weighted(x, axis: int, size: int, weight: float):
    """x with what stands for two conjugate frequencies of `size` multiplied by `weight`."""
    count = x.shape[axis]
    place = iota((count,), 0)
    alone = equal(place, 0)
    if size % 2 == 0:
        alone = logical_or(alone, equal(place, size // 2))
    shape = tuple(count if i == axis else 1 for i in range(x.ndim))
    return multiply(x, reshape(where(alone, cast(1.0, real_of(x.dtype)), weight), shape))


def _halved_vjp(attrs, g, inputs, outputs, needs):
    axes, scale = attrs
    size = inputs[0].shape[axes[-1]]
    return [restored_transform(_weighted(g[0], axes[-1], size, 0.5), axes, scale, size)]


def _restored_vjp(attrs, g, inputs, outputs, needs):
    axes, scale, size = attrs
    return [_weighted(halved_transform(g[0], axes, scale), axes[-1], size, 2.0)]


def _batch(attrs, call, inputs, batched, size):
    return call((tuple(a + 1 for a in attrs[0]), *attrs[1:]), inputs[0])


full_transform = host(
    "fft.full", 1, _run_complex, infer=_complex_infer, vjp=_complex_vjp, jvp="linear", batch=_batch, names=("x",),
    lowering="fourier",
    attributes=lambda axes, inverse, scale: (axes, inverse, scale), dtypes=_COMPLEX, reference=_REFERENCES + "fft_full",
    samples=Samples(((-2, 2),), shapes=(((3, 5),), ((2, 4, 3),)), dtypes=_COMPLEX,
                    arguments=((((1,), False, "one"), {}), (((0, 1), True, "ortho"), {}))),
    doc="The transform of complex numbers, forwards or back.",
)  # fmt: skip
halved_transform = host(
    "fft.halved", 1, _run_halved, infer=_halved_infer, vjp=_halved_vjp, jvp="linear", batch=_batch, names=("x",),
    lowering="fourier",
    attributes=lambda axes, scale: (axes, scale), reference=_REFERENCES + "fft_halved",
    samples=Samples(((-2, 2),), shapes=(((3, 5),), ((2, 4, 6),)), dtypes=(dt.float32, dt.float64),
                    arguments=((((1,), "mean"), {}), (((0, 1), "one"), {}))),
    doc="The forward transform of real numbers; the last axis keeps the frequencies that aren't negative.",
)  # fmt: skip
restored_transform = host(
    "fft.restored", 1, _run_restored, infer=_restored_infer, vjp=_restored_vjp, jvp="linear", batch=_batch, names=("x",),
    lowering="fourier",
    attributes=lambda axes, scale, size: (axes, scale, size), dtypes=_COMPLEX, reference=_REFERENCES + "fft_restored",
    samples=Samples(((-2, 2),), shapes=(((3, 4),), ((2, 4, 3),)), dtypes=_COMPLEX,
                    arguments=((((1,), "one", 7), {}), (((0, 1), "mean", 6), {}))),
    doc="The inverse transform to `size` real numbers along the last axis, from frequencies that aren't negative.",
)  # fmt: skip


# ---------------------------------------------------------------- arguments as users give them
def scale_of(name: str, norm: object, inverse: bool) -> str:
    """The scale that NumPy's name of a normalization means."""
    if norm is None:
        norm = "backward"
    if norm == "ortho":
        return "ortho"
    if norm not in ("backward", "forward"):
        raise ValueRangeError(f"[{name}] norm: expected 'backward', 'ortho' or 'forward', got {norm!r}")
    return "mean" if (norm == "backward") == inverse else "one"


def axes_and_sizes(name: str, x, s: object, axes: object) -> tuple:
    """(axes, their sizes or None for as they are)."""
    if s is not None and not isinstance(s, (tuple, list)):
        raise ArgumentError(f"[{name}] s: expected a tuple of ints, got {s!r}")
    if axes is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise ShapeError(f"[{name}] s: expected at most {x.ndim} sizes for shape {tuple(x.shape)}, got {tuple(s)}")
        axes = range(x.ndim - count, x.ndim)
    elif not isinstance(axes, (tuple, list, range)):
        axes = (axes,)
    found = tuple(normalize_axis(name, a, x.ndim) for a in axes)
    if len(set(found)) != len(found):
        raise AxisError(f"[{name}] axes: expected distinct axes, got {tuple(axes)}")
    if s is not None and len(s) != len(found):
        raise ShapeError(f"[{name}] expected as many sizes as axes, got s {tuple(s)} and axes {tuple(axes)}")
    sizes = tuple(None if n is None or n == -1 else as_index(name, "a size", n) for n in (s or (None,) * len(found)))
    for n in sizes:
        if n is not None and n < 1:
            raise ValueRangeError(f"[{name}] expected sizes of at least 1, got {n}")
    return found, sizes


def fitted(name: str, x, axes: tuple, sizes: tuple):
    """x cut, or continued with zeros, to `sizes` along `axes`."""
    for axis, size in zip(axes, sizes):
        have = x.shape[axis]
        if size is None or size == have:
            if have == 0:
                raise ShapeError(
                    f"[{name}] expected at least one element along axis {axis}, got shape {tuple(x.shape)}"
                )
        elif size < have:
            x = part(x, axis, 0, size)
        else:
            x = embed(x, _with_size(tuple(x.shape), axis, size), (0,) * x.ndim, (1,) * x.ndim)
    return x


def _real_or_complex(x):
    """Ints, bools and half precision as the default float."""
    narrow = x.dtype.kind in "biu" or x.dtype in (dt.float16, dt.bfloat16)
    return cast(x, dt.DEFAULT_FLOAT) if narrow else x


# ---------------------------------------------------------------- what users call
def _one(n=None, axis=-1, norm="backward"):
    return (None if n is None else (n,), (axis,), norm)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _several(s=None, axes=None, norm="backward"):
    return (_listed(s), _listed(axes), norm)


def _two(s=None, axes=(-2, -1), norm="backward"):
    return (_listed(s), _listed(axes), norm)


def _to_complex(name: str, inverse: bool):
    def function(attrs, x):
        s, axes, norm = attrs
        axes, sizes = axes_and_sizes(name, x, s, axes)
        x = fitted(name, _real_or_complex(x), axes, sizes)
        if x.dtype.kind != "c":
            x = cast(x, complex_of(x.dtype))
        return full_transform(x, axes, inverse, scale_of(name, norm, inverse)) if axes else x

    return function


def _of_real(name: str, inverse: bool):
    def function(attrs, x):
        s, axes, norm = attrs
        if x.dtype.kind == "c":
            raise DTypeError(f"[{name}] x: expected a real dtype, got {x.dtype}")
        axes, sizes = axes_and_sizes(name, x, s, axes)
        if not axes:
            raise AxisError(f"[{name}] axes: expected at least one axis, got none")
        found = halved_transform(fitted(name, _real_or_complex(x), axes, sizes), axes, scale_of(name, norm, inverse))
        return conj(found) if inverse else found

    return function


def _to_real(name: str, inverse: bool):
    def function(attrs, x):
        s, axes, norm = attrs
        axes, sizes = axes_and_sizes(name, x, s, axes)
        if not axes:
            raise AxisError(f"[{name}] axes: expected at least one axis, got none")
        x = _real_or_complex(x)
        if x.dtype.kind != "c":
            x = cast(x, complex_of(x.dtype))
        size = sizes[-1] if sizes[-1] is not None else 2 * (x.shape[axes[-1]] - 1)
        if size < 1:
            raise ShapeError(
                f"[{name}] expected at least two elements along axis {axes[-1]} if its size in the result isn't given, "
                f"got shape {tuple(x.shape)}"
            )
        x = fitted(name, x, axes, (*sizes[:-1], size // 2 + 1))
        return restored_transform(x if inverse else conj(x), axes, scale_of(name, norm, inverse), size)

    return function


def _transform(name: str, kind, inverse: bool, attributes, doc: str):
    arguments = ((((5, 0, "ortho"), {}), ((), {"norm": "forward"})) if attributes is _one else (((), {}),))  # fmt: skip
    return composite(
        f"fft.{name}", 1, kind(f"fft.{name}", inverse), attributes=attributes, names=("x",),
        reference=(_REFERENCES if name in ("hfftn", "hfft2", "ihfftn", "ihfft2") else "numpy.fft.") + name,
        samples=Samples(((-2, 2),), shapes=(((4, 5),),), arguments=arguments,
                        dtypes=(dt.float32, dt.float64) if kind is _of_real else (dt.float64, dt.complex128)),
        errors=(((), {"norm": "best"}, "norm"), ((0,) if attributes is _one else ((0, 0),), {}, "sizes")), doc=doc,
    )  # fmt: skip


fft = _transform(
    "fft",
    _to_complex,
    False,
    _one,
    "The transform along one axis: y[k] = sum over j of x[j] * exp(-2j * pi * j * k / n); complex.",
)
ifft = _transform("ifft", _to_complex, True, _one, "The inverse of `fft`.")
fftn = _transform(
    "fftn",
    _to_complex,
    False,
    _several,
    "The transform along several axes: the last len(s) if axes is None, all if s is None too; complex.",
)
ifftn = _transform("ifftn", _to_complex, True, _several, "The inverse of `fftn`.")
fft2 = _transform("fft2", _to_complex, False, _two, "`fftn` over two axes.")
ifft2 = _transform("ifft2", _to_complex, True, _two, "`ifftn` over two axes.")
rfft = _transform(
    "rfft",
    _of_real,
    False,
    _one,
    "`fft` of real numbers, frequencies 0 to n // 2 only: n // 2 + 1 complex ones (the others are their conjugates).",
)
rfftn = _transform(
    "rfftn",
    _of_real,
    False,
    _several,
    "`fftn` of real numbers; of the last axis the frequencies that aren't negative only.",
)
rfft2 = _transform("rfft2", _of_real, False, _two, "`rfftn` over two axes.")
irfft = _transform(
    "irfft",
    _to_real,
    True,
    _one,
    "The inverse of `rfft`: n real numbers, 2 * (size - 1) by default. The imaginary part of frequency 0 is ignored.",
)
irfftn = _transform(
    "irfftn", _to_real, True, _several, "The inverse of `rfftn`, real; s[-1] is 2 * (size - 1) by default."
)
irfft2 = _transform("irfft2", _to_real, True, _two, "`irfftn` over two axes.")
hfft = _transform(
    "hfft",
    _to_real,
    False,
    _one,
    "The transform of numbers with x[-j] = conj(x[j]), given those from 0 on: n real numbers, 2 * (size - 1) by default.",
)
ihfft = _transform("ihfft", _of_real, True, _one, "The inverse of `hfft`: n // 2 + 1 complex numbers of n real ones.")
hfftn = _transform("hfftn", _to_real, False, _several, "`hfft` along the last of `axes`, `fft` along the others.")
hfft2 = _transform("hfft2", _to_real, False, _two, "`hfftn` over two axes.")
ihfftn = _transform("ihfftn", _of_real, True, _several, "The inverse of `hfftn`.")
ihfft2 = _transform("ihfft2", _of_real, True, _two, "`ihfftn` over two axes.")

__all__ = [
    "fft", "fft2", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2",
    "irfftn", "rfft", "rfft2", "rfftn",
]  # fmt: skip
