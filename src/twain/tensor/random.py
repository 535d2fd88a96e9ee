"""Random tensors. A Generator is a seed and a counter, both tensors: a draw is a pure function of them and moves the
counter on, so compiled functions draw new numbers at every call, the same as eager ones.

Here are the draws that everybody needs; `distributions.py` has the rest, loaded when first used.
"""

from __future__ import annotations

from functools import lru_cache

from .. import _core
from ..base import dtypes as dt
from ..base import lazy
from ..base.errors import ArgumentError, DTypeError, ValueRangeError
from ..base.lazy import LazyModule
from ..base.shapes import as_index, broadcast_shapes, check_shape, size_of
from ..ops.placement import move
from ..ops.random import blocks_of, numbers_per_block, random_integers, random_normal, random_uniform
from ..transforms.levels import stack
from .creation import asarray
from .device import as_device

Tensor = _core.Tensor
randomness = LazyModule("twain.transforms.randomness")
default_device = _core.default_device

_DISTRIBUTIONS = frozenset(
    "bernoulli beta binomial categorical cauchy chisquare choice dirichlet exponential f gamma geometric gumbel half_normal "
    "laplace logistic log_normal multinomial multivariate_normal negative_binomial orthogonal pareto permutation poisson "
    "rademacher rayleigh shuffle standard_t triangular truncated_normal vonmises wald weibull zipf".split()
)


def __getattr__(name: str):
    if name not in _DISTRIBUTIONS:
        raise AttributeError(f"module 'twain.random' has no attribute {name!r}")
    value = getattr(lazy.load("twain.tensor.distributions"), name)
    globals()[name] = value
    return value


class Generator:
    """A stream of random numbers. `state_dict()` holds all of it."""

    def __init__(self, seed: int = 0):
        self.seed_value = asarray(0, dtype="uint64", device="cpu:0")
        self.counter = asarray(0, dtype="uint64", device="cpu:0")
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start over from `seed` (an int; its lowest 64 bits count)."""
        number = as_index("random.seed", "seed", seed) % 2**64
        self.seed_value.assign(asarray(number, dtype="uint64", device="cpu:0"))
        self.counter.assign(asarray(0, dtype="uint64", device="cpu:0"))
        return self

    def draw(self, op, blocks: int, *args: object) -> Tensor:
        """op(seed, counter, *args), and the counter `blocks` further."""
        if stack.levels:
            return randomness.draw(self, op, blocks, args)
        result = op(self.seed_value, self.counter, *args)
        self.counter += blocks
        return result

    def state_dict(self) -> dict:
        """The whole state, as two ints."""
        return {"seed": self.seed_value.item(), "counter": self.counter.item()}

    def load_state_dict(self, state: dict) -> None:
        """Continue where `state` was taken."""
        self.seed_value.assign(asarray(int(state["seed"]), dtype="uint64", device="cpu:0"))
        self.counter.assign(asarray(int(state["counter"]), dtype="uint64", device="cpu:0"))

    def uniform(self, shape: object = None, low: object = 0.0, high: object = 1.0, *, dtype: object = None) -> Tensor:
        """See random.uniform."""
        return uniform(shape, low, high, dtype=dtype, generator=self)

    def normal(self, shape: object = None, mean: object = 0.0, std: object = 1.0, *, dtype: object = None) -> Tensor:
        """See random.normal."""
        return normal(shape, mean, std, dtype=dtype, generator=self)


class Placed:
    """A generator whose draws are made on a device of their own."""

    __slots__ = ("device", "generator")

    def __init__(self, generator: Generator, device: int):
        self.generator = generator
        self.device = device

    def draw(self, op, blocks: int, *args: object) -> Tensor:
        """As Generator.draw."""
        source = self.generator
        if stack.levels:
            return randomness.draw(source, op, blocks, args)
        seed = move(source.seed_value, self.device, 0) if self.device else source.seed_value
        result = op(seed, source.counter, *args)
        source.counter += blocks
        return result


default_generator = Generator(0)


def source_of(generator: Generator | Placed | None, device: object = None) -> Generator | Placed:
    """Where numbers for `device` (the default one if None) come from."""
    if type(generator) is Placed:
        return generator
    generator = generator or default_generator
    if device is not None:
        return Placed(generator, as_device(device, "random").index)
    place = default_device()
    return Placed(generator, place) if place else generator


def get_state() -> dict:
    """The default generator's state."""
    return default_generator.state_dict()


def set_state(state: dict) -> None:
    """Put the default generator where `state` was taken."""
    default_generator.load_state_dict(state)


def seed(number: int) -> Generator:
    """Start the default generator over; returns it."""
    return default_generator.manual_seed(number)


def as_parameters(function: str, shape: object, dtype: object, generator: object, **parameters: object) -> tuple:
    """(shape, dtype, generator, parameters) of a draw: the shape given, or that of the parameters; the dtype given, or
    theirs, or float32; on the device of the parameters. Tensors among them must broadcast to the shape."""
    tensors = {name: p for name, p in parameters.items() if hasattr(p, "shape") and hasattr(p, "dtype")}
    for name, p in parameters.items():
        if name not in tensors and type(p) not in (int, float, bool):
            if not isinstance(p, (list, tuple)):
                raise ArgumentError(f"[{function}] expected {name} to be a number or a tensor, got {type(p).__name__}")
            tensors[name] = parameters[name] = asarray(p)
    common = broadcast_shapes(function, *(tuple(p.shape) for p in tensors.values())) if tensors else ()
    if shape is None:
        shape = common
    else:
        shape = check_shape(function, shape)
        if tensors and broadcast_shapes(function, shape, common) != shape:
            raise ArgumentError(f"[{function}] expected parameters that broadcast to shape {shape}, got shape {common}")
    if dtype is None:
        wide = [p.dtype for p in tensors.values() if p.dtype in dt.FLOATING]
        dtype = max(wide, key=lambda d: d.itemsize) if wide else dt.float32
    else:
        dtype = dt.as_dtype(dtype, function)
        if dtype not in dt.FLOATING:
            raise DTypeError(f"[{function}] expected a floating dtype, got {dtype}")
    places = [p.device for p in tensors.values() if getattr(p, "device", None) is not None and p.ndim]
    return shape, dtype, source_of(generator, places[0] if places else None), parameters.values()


@lru_cache(4096)
def _request(function: str, shape: object, dtype: object) -> tuple:
    """(shape, dtype, blocks) of a draw of floats."""
    shape = check_shape(function, () if shape is None else shape)
    dtype = dt.float32 if dtype is None else dt.as_dtype(dtype, function)
    if dtype not in dt.FLOATING:
        raise DTypeError(f"[{function}] expected a floating dtype, got {dtype}")
    return shape, dtype, blocks_of(size_of(shape), numbers_per_block(dtype))


@_core.Remembered
def _floats(seed: Tensor, counter: Tensor, function: str, op, shape: object, dtype: object) -> tuple[Tensor, Tensor]:
    """(numbers, the counter behind them)"""
    shape, dtype, blocks = _request(function, tuple(shape) if type(shape) is list else shape, dtype)
    return op(seed, counter, shape, dtype), counter + blocks


def draw_floats(function: str, op, shape: object, dtype: object, generator: Generator | Placed | None) -> Tensor:
    """One of the draws of floats that use whole blocks."""
    source = default_generator if generator is None and not default_device() else source_of(generator)
    if type(source) is Generator and not stack.levels:
        numbers, counter = _floats(source.seed_value, source.counter, function, op, shape, dtype)
        source.counter.assign(counter)
        return numbers
    shape, dtype, blocks = _request(function, tuple(shape) if type(shape) is list else shape, dtype)
    return source.draw(op, blocks, shape, dtype)


def uniform(
    shape: object = None,
    low: object = 0.0,
    high: object = 1.0,
    *,
    dtype: object = None,
    device: object = None,
    generator=None,
) -> Tensor:
    """Uniform in [low, high), numbers or tensors; of `shape` (theirs if None) and floating `dtype` (float32), on `device`."""
    if device is not None:
        generator = source_of(generator, device)
    if type(low) is float is type(high):
        if not low <= high:
            raise ValueRangeError(f"[random.uniform] expected low <= high, got {low} and {high}")
        x = draw_floats("random.uniform", random_uniform, shape, dtype, generator)
        return x if low == 0.0 and high == 1.0 else x * (high - low) + low
    shape, dtype, generator, (low, high) = as_parameters("random.uniform", shape, dtype, generator, low=low, high=high)
    return draw_floats("random.uniform", random_uniform, shape, dtype, generator) * (high - low) + low


def normal(
    shape: object = None,
    mean: object = 0.0,
    std: object = 1.0,
    *,
    dtype: object = None,
    device: object = None,
    generator=None,
) -> Tensor:
    """Normal with `mean` and standard deviation `std`, numbers or tensors; of `shape` (theirs if None) and floating `dtype`
    (float32), on `device`. Differentiable in mean and std."""
    if device is not None:
        generator = source_of(generator, device)
    if type(mean) is float is type(std):
        if std < 0.0:
            raise ValueRangeError(f"[random.normal] expected std >= 0, got {std}")
        x = draw_floats("random.normal", random_normal, shape, dtype, generator)
        return x if mean == 0.0 and std == 1.0 else x * std + mean
    shape, dtype, generator, (mean, std) = as_parameters("random.normal", shape, dtype, generator, mean=mean, std=std)
    return draw_floats("random.normal", random_normal, shape, dtype, generator) * std + mean


def randint(
    low: int,
    high: int | None = None,
    shape: object = (),
    *,
    dtype: object = "int64",
    device: object = None,
    generator=None,
) -> Tensor:
    """Integers in [low, high), or [0, low) with high left out, of `shape` and integer `dtype`, on `device`."""
    source = source_of(generator, device)
    if type(source) is Generator and not stack.levels:
        numbers, counter = _integers(source.seed_value, source.counter, low, high, shape, dtype)
        source.counter.assign(counter)
        return numbers
    shape, low, high, kind, blocks = _integers_request(low, high, tuple(shape) if type(shape) is list else shape, dtype)
    return source.draw(random_integers, blocks, shape, low, high, kind)


@_core.Remembered
def _integers(
    seed: Tensor, counter: Tensor, low: object, high: object, shape: object, dtype: object
) -> tuple[Tensor, Tensor]:
    """(numbers, the counter behind them)"""
    shape, low, high, kind, blocks = _integers_request(low, high, tuple(shape) if type(shape) is list else shape, dtype)
    return random_integers(seed, counter, shape, low, high, kind), counter + blocks


@lru_cache(4096)
def _integers_request(low: object, high: object, shape: object, dtype: object) -> tuple:
    """(shape, low, high, dtype, blocks) of a draw of integers."""
    if high is None:
        low, high = 0, low
    low, high = as_index("random.randint", "low", low), as_index("random.randint", "high", high)
    if high <= low:
        raise ValueRangeError(f"[random.randint] expected low < high, got {low} and {high}")
    shape, kind = check_shape("random.randint", shape), dt.as_dtype(dtype, "random.randint")
    if kind not in dt.INTEGER:
        raise DTypeError(f"[random.randint] expected an integer dtype, got {kind}")
    smallest, largest = (-(2 ** (kind.bits - 1)), 2 ** (kind.bits - 1)) if kind.kind == "i" else (0, 2**kind.bits)
    if low < smallest or high > largest:
        raise ValueRangeError(f"[random.randint] expected numbers that {kind} holds, got low={low} and high={high}")
    return shape, low, high, kind, blocks_of(size_of(shape), 2)


_OWN = "Generator default_generator get_state normal randint seed set_state uniform"
__all__ = sorted([*_OWN.split(), *_DISTRIBUTIONS])  # noqa: PLE0605


def __dir__():
    return __all__
