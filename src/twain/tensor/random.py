"""Random tensors. A Generator is a seed and a counter, both tensors: a draw is a pure function of them and moves the
counter on, so compiled functions draw new numbers at every call, the same as eager ones."""

from __future__ import annotations

from .. import _core
from ..base.errors import ArgumentError, ValueRangeError
from ..base.shapes import as_index, check_shape, size_of
from ..ops.random import random_integers, random_normal, random_uniform
from .creation import asarray
from .gradients import no_grad

Tensor = _core.Tensor


class Generator:
    """A stream of random numbers. `state_dict()` holds all of it."""

    def __init__(self, seed: int = 0):
        self.seed_value = asarray(0, dtype="uint64")
        self.counter = asarray(0, dtype="uint64")
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start over from `seed` (an int; its lowest 64 bits count)."""
        number = as_index("random.seed", "seed", seed) % 2**64
        self.seed_value.assign(asarray(number, dtype="uint64"))
        self.counter.assign(asarray(0, dtype="uint64"))
        return self

    def draw(self, op, count: int, *args: object) -> Tensor:
        """op(seed, counter, *args), and the counter `count` further."""
        with no_grad():
            result = op(self.seed_value, self.counter, *args)
            self.counter += count
        return result

    def state_dict(self) -> dict:
        """The whole state, as two ints."""
        return {"seed": self.seed_value.item(), "counter": self.counter.item()}

    def load_state_dict(self, state: dict) -> None:
        """Continue where `state` was taken."""
        self.seed_value.assign(asarray(int(state["seed"]), dtype="uint64"))
        self.counter.assign(asarray(int(state["counter"]), dtype="uint64"))

    def uniform(self, shape: object = (), low: float = 0.0, high: float = 1.0, *, dtype: object = "float32") -> Tensor:
        """See random.uniform."""
        return uniform(shape, low, high, dtype=dtype, generator=self)

    def normal(self, shape: object = (), mean: float = 0.0, std: float = 1.0, *, dtype: object = "float32") -> Tensor:
        """See random.normal."""
        return normal(shape, mean, std, dtype=dtype, generator=self)


default_generator = Generator(0)


def get_state() -> dict:
    """The default generator's state."""
    return default_generator.state_dict()


def set_state(state: dict) -> None:
    """Put the default generator where `state` was taken."""
    default_generator.load_state_dict(state)


def seed(number: int) -> Generator:
    """Start the default generator over; returns it."""
    return default_generator.manual_seed(number)


def _draw(op, shape: object, name: str, generator: Generator | None, *args: object) -> Tensor:
    shape = check_shape(name, shape)
    return (generator or default_generator).draw(op, size_of(shape), shape, *args)


def uniform(
    shape: object = (), low: float = 0.0, high: float = 1.0, *, dtype: object = "float32", generator=None
) -> Tensor:
    """Uniform in [low, high), of `shape` and floating `dtype`."""
    x = _draw(random_uniform, shape, "random.uniform", generator, dtype)
    return x if low == 0.0 and high == 1.0 else x * (high - low) + low


def normal(
    shape: object = (), mean: float = 0.0, std: float = 1.0, *, dtype: object = "float32", generator=None
) -> Tensor:
    """Normal with `mean` and standard deviation `std`, of `shape` and floating `dtype`."""
    x = _draw(random_normal, shape, "random.normal", generator, dtype)
    return x if mean == 0.0 and std == 1.0 else x * std + mean


def randint(
    low: int, high: int | None = None, shape: object = (), *, dtype: object = "int64", generator=None
) -> Tensor:
    """Integers in [low, high), or [0, low) with high left out."""
    if high is None:
        low, high = 0, low
    if high <= low:
        raise ValueRangeError(f"[random.randint] expected low < high, got {low} and {high}")
    return _draw(random_integers, shape, "random.randint", generator, low, high, dtype)


def bernoulli(p: float, shape: object = (), *, generator=None) -> Tensor:
    """True with probability p."""
    if not 0.0 <= p <= 1.0:
        raise ValueRangeError(f"[random.bernoulli] expected a probability in [0, 1], got {p}")
    return uniform(shape, generator=generator) < p


def permutation(n: int, *, generator=None) -> Tensor:
    """The ints 0 to n - 1 in random order, int64 (drawn on the host)."""
    if n < 0:
        raise ArgumentError(f"[random.permutation] expected n >= 0, got {n}")
    keys = uniform((n,), dtype="float64", generator=generator).tolist()
    return asarray(sorted(range(n), key=keys.__getitem__), dtype="int64")
