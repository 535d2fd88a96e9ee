"""Random numbers inside of transformations. A draw is a function of a seed and a counter: inside of a loop's body the
counter is carried from iteration to iteration, inside of vmap each example gets a seed of its own if it should."""

from __future__ import annotations

from ..base.errors import GradientError
from ..ops.elementwise import cast
from ..ops.index import arange
from .batched import Batched, BatchLevel
from .body import BodyLevel
from .levels import stack

# The constants of SplitMix64: G. Steele et al., "Fast splittable pseudorandom number generators" (2014).
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def relevant() -> list:
    """The active levels that draws must know of, outermost first."""
    return [level for level in stack.levels if type(level) is BatchLevel or type(level) is BodyLevel]


def seed_at(generator: object, levels: list) -> object:
    """The seed as seen from the innermost of `levels`."""
    if not levels:
        return generator.seed_value
    level = levels[-1]
    below = seed_at(generator, levels[:-1])
    if type(level) is BodyLevel or level.randomness == "same":
        return below
    if level.randomness == "error":
        raise GradientError(
            "[vmap] expected no random numbers inside, as randomness='error'; pass randomness='different' for numbers of its "
            "own for each example, or 'same' for the same for all"
        )
    index = cast(arange(1, 1, level.size, below.dtype), below.dtype)
    z = below + index * cast(_GOLDEN, below.dtype)
    z = (z ^ (z >> 30)) * cast(_MIX[0], below.dtype)
    z = (z ^ (z >> 27)) * cast(_MIX[1], below.dtype)
    return level.lift(z ^ (z >> 31))


def counter_at(generator: object, levels: list) -> object:
    """The counter as seen from the innermost of `levels`."""
    if not levels:
        return generator.counter.detach()
    outer = levels[:-1]
    if type(levels[-1]) is BodyLevel:
        return levels[-1].counter(generator, lambda: counter_at(generator, outer))
    return counter_at(generator, outer)


def move_counter(generator: object, levels: list, value: object) -> None:
    """Set the counter that counter_at gives."""
    if not levels:
        generator.counter.assign(value)
        return
    level = levels[-1]
    if type(level) is BodyLevel:
        level.counters[generator][1] = value
        return
    if type(value) is Batched and value.level is level:  # examples that drew different amounts
        value = value.value.max()
    move_counter(generator, levels[:-1], value)


def draw(generator: object, op, blocks: int, args: tuple) -> object:
    """op(seed, counter, *args) at the place where the code runs, and the counter there `blocks` further."""
    levels = relevant()
    counter = counter_at(generator, levels)
    result = op(seed_at(generator, levels), counter, *args)
    move_counter(generator, levels, counter + blocks)
    return result


__all__ = ["counter_at", "draw", "move_counter", "relevant"]
