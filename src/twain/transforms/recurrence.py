"""Recurrent layers over a whole sequence as one op: the products of the inputs are made outside, all steps at once; here one
scan does what each step owes to the one before.

The backward rule scans once more, for the gradients of what enters the cells only. The gradient of the recurrent weight is
then a single product over all steps and examples, where the rule of a scan would add up one per step.
"""

from __future__ import annotations

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import size_of
from ..ir.node import Spec, substitute
from ..ir.op import OpRecord, expand
from ..ops.elementwise import less, where
from ..ops.index import iota
from ..ops.linalg import product, transpose_last
from ..ops.nn.recurrent import GATES, cell
from ..ops.reduce import sum as sum_
from ..ops.shape import permute_dims, reshape
from ..passes.simplify import simplify
from .control import made, parameters, pulled, run, scan, scan_attrs, zeros_of
from .vjp import gradients


class _Operands:
    """The operands of a call, by what they are: nodes, or None where absent."""

    __slots__ = ("bias", "c", "h", "lengths", "projection", "weight", "x")

    def __init__(self, values):
        self.x, self.h, self.c, self.weight, self.bias, self.projection, self.lengths = values

    @property
    def states(self) -> list:
        return [self.h] if self.c is None else [self.h, self.c]

    def active(self):
        """(T, B, 1): whether a step belongs to its sequence; None without lengths."""
        if self.lengths is None:
            return None
        steps, batch = self.x.shape[:2]
        return less(iota((steps, batch, 1), 0), reshape(self.lengths, (1, batch, 1)))


def _check(mode: str, o: _Operands) -> None:
    name = f"recurrence {mode}"
    if o.x.ndim != 3 or o.h.ndim != 2 or o.x.shape[1] != o.h.shape[0]:
        raise ShapeError(f"[{name}] expected x (T, B, G) and h (B, H), got {tuple(o.x.shape)} and {tuple(o.h.shape)}")
    if (o.c is None) is (mode == "lstm"):
        raise ArgumentError(f"[{name}] expected {'a' if mode == 'lstm' else 'no'} cell state")
    width = o.h.shape[1] if o.c is None else o.c.shape[1]
    if tuple(o.weight.shape) != (GATES[mode] * width, o.h.shape[1]) or o.x.shape[2] != GATES[mode] * width:
        raise ShapeError(
            f"[{name}] expected x and weight for {GATES[mode]} gates of {width} features, got {tuple(o.x.shape)} and "
            f"{tuple(o.weight.shape)}"
        )


def _step(mode: str, o: _Operands, keep: bool):
    """(body of the scan, its constants, what it scans over)."""
    active = o.active()
    tiled = _is_tiled(o)
    consts = [_arranged(transpose_last(o.weight), tiled), *(v for v in (o.bias, o.projection) if v is not None)]
    slices = [o.x] if active is None else [o.x, active]
    order = parameters([v.spec for v in (*consts, *o.states)] + [Spec(v.dtype, v.shape[1:]) for v in slices])
    rest = iter(order)
    weight = next(rest)
    bias = None if o.bias is None else next(rest)
    projection = None if o.projection is None else next(rest)
    states = [next(rest) for _ in o.states]
    x = next(rest)
    mask = None if active is None else next(rest)
    recurrent = _times(states[0], weight, o.weight.shape[0], tiled)
    if bias is not None:
        recurrent = recurrent + _split(bias, tiled)
    after = _after(mode, _split(x, tiled), recurrent, [_split(s, tiled) for s in states], projection)
    after, out = _masked([_joined(s, tiled) for s in after], states, mask)
    kept = [_joined(recurrent, tiled), *states] if keep else []
    return made(f"{mode}_step", order, [*after, out, *kept]), consts, slices


# A large weight lies in panels of TILE columns, as products want it, from before the first step: else every step would
# bring it into that order anew. Features are then two axes, (panels, TILE).
TILE = 32
LARGE = 1 << 17  # elements: more than a product reads as they lie


def _is_tiled(o: _Operands) -> bool:
    return o.projection is None and o.h.shape[1] % TILE == 0 and size_of(o.weight.shape) >= LARGE


def _arranged(weight, tiled: bool):
    """A weight (K, N), flat: row after row, or panel after panel."""
    if tiled:
        k, n = weight.shape
        weight = permute_dims(reshape(weight, (k, n // TILE, TILE)), (1, 0, 2))
    return reshape(weight, (size_of(weight.shape),))


def _times(x, flat, n: int, tiled: bool):
    """x (B, K) times an arranged weight (K, n): (B, n), or (B, panels, TILE)."""
    k = x.shape[1]
    if not tiled:
        return product(x, reshape(flat, (k, n)))
    panels = product(reshape(x, (1, *x.shape)), reshape(flat, (n // TILE, k, TILE)))
    return permute_dims(panels, (1, 0, 2))


def _split(x, tiled: bool):
    return reshape(x, (*x.shape[:-1], x.shape[-1] // TILE, TILE)) if tiled else x


def _joined(x, tiled: bool):
    return reshape(x, (*x.shape[:-2], x.shape[-2] * TILE)) if tiled else x


def _after(mode: str, x, recurrent, states: list, projection) -> list:
    after = cell(mode, x, recurrent, states[0], states[1] if len(states) > 1 else None)
    if projection is not None:
        after[0] = product(after[0], transpose_last(projection))
    return after


def _masked(after: list, states: list, mask) -> tuple:
    """(states, result of the step): beyond a sequence's end states stay and results are 0."""
    if mask is None:
        return after, after[0]
    return [where(mask, new, old) for new, old in zip(after, states)], where(mask, after[0], 0.0)


def _recurrence(attrs, *operands):
    """(every h, last h, (last c), and with keep what the gradient wants: recurrent projections, states before each step)."""
    mode, reverse, keep = attrs
    o = _Operands(operands)
    _check(mode, o)
    body, consts, slices = _step(mode, o, keep)
    count = len(o.states)
    results = run(
        scan, scan_attrs(body, len(consts), count, o.x.shape[0], reverse, False), [*consts, *o.states, *slices]
    )
    return [results[count], *results[:count], *results[count + 1 :]]


def _general_vjp(attrs, cotangents, inputs, needs) -> list:
    """The gradient that follows from the graph."""
    graph = expand(RECORD, attrs, tuple(None if i is None else i.spec for i in inputs))
    flat = simplify(graph)
    known = {p: inputs[p.attrs] for p in flat.parameters}
    from_graph = gradients(flat.outputs, cotangents, [p for p in flat.parameters if needs[p.attrs]])
    found = iter(substitute(from_graph, known))
    return [next(found) if i is not None and n else None for i, n in zip(inputs, needs)]


def _vjp(attrs, cotangents, inputs, outputs, needs):
    mode, reverse, keep = attrs
    o = _Operands(inputs)
    if o.projection is not None:
        return _general_vjp(attrs, cotangents, inputs, needs)
    count = len(o.states)
    if not keep:
        outputs = recurrence(*inputs, mode, reverse, True)
    recurrent, *before = outputs[1 + count :]
    of_y, *of_last = cotangents[: 1 + count]
    further = cotangents[1 + count :]
    if all(g is None for g in further):
        further = []
    else:  # someone differentiates a gradient
        further = [zeros_of(v.spec) if g is None else g for g, v in zip(further, (recurrent, *before))]
    of_last = [zeros_of(s.spec) if g is None else g for g, s in zip(of_last, o.states)]
    given_y = [] if of_y is None else [of_y]
    x_spec, r_spec = (Spec(v.dtype, v.shape[1:]) for v in (o.x, recurrent))
    states = [s.spec for s in o.states]
    active = o.active()
    masks = [] if active is None else [active]

    own = parameters([x_spec, r_spec, *states, *(Spec(m.dtype, m.shape[1:]) for m in masks)])
    after, out = _masked(
        _after(mode, own[0], own[1], own[2 : 2 + count], None), own[2 : 2 + count], (*own[2 + count :], None)[0]
    )
    forward = made(f"{mode}_cell", own, [*after, out])

    tiled = _is_tiled(o)
    arranged = _arranged(o.weight, tiled)
    # The step backwards: weight | gradients of the states | what the cell was given, gradients of the results
    order = parameters(
        [arranged.spec, *states, *(p.spec for p in own)] + [Spec(g.dtype, g.shape[1:]) for g in (*given_y, *further)]
    )
    first, last = 1 + count, 1 + count + len(own)
    weight, moved, given, rest = order[0], order[1:first], order[first:last], order[last:]
    of_out = rest.pop(0) if given_y else None
    found = pulled(forward, given, [*moved, of_out], list(range(2 + count)))
    of_x, of_r = (zeros_of(p.spec) if g is None else g for p, g in zip(own, found[:2]))
    of_states = found[2:]
    if further:
        of_r = of_r + rest[0]
        of_states = [more if g is None else g + more for g, more in zip(of_states, rest[1:])]
    before_step = _joined(_times(of_r, weight, o.h.shape[1], tiled), tiled)
    # without lengths an LSTM's h goes no other way into the next step than by the product
    of_states[0] = before_step if of_states[0] is None else of_states[0] + before_step
    separate = mode == "gru" or bool(further)
    stacked = [of_r, of_x] if separate else [of_r]
    body = made(
        f"{mode}_back", order, [*(zeros_of(s) if g is None else g for g, s in zip(of_states, states)), *stacked]
    )
    back = run(
        scan, scan_attrs(body, 1, count, o.x.shape[0], not reverse, False),
        [arranged, *of_last, o.x, recurrent, *before, *masks, *given_y, *further],
    )  # fmt: skip
    gradients_of_states, of_r = list(back[:count]), back[count]
    of_x = back[count + 1] if separate else of_r
    rows = o.x.shape[0] * o.x.shape[1]
    result = [of_x, gradients_of_states[0], gradients_of_states[1] if count > 1 else None, None, None, None, None]
    if needs[3]:
        flat = reshape(of_r, (rows, of_r.shape[2]))
        result[3] = product(transpose_last(flat), reshape(before[0], (rows, o.h.shape[1])))
    if needs[4] and o.bias is not None:
        result[4] = sum_(of_r, (0, 1))
    return result


def _attributes(mode, reverse=False, keep=False):
    if mode not in GATES:
        raise ArgumentError(f"expected mode to be one of {', '.join(GATES)}, got {mode!r}")
    return (mode, bool(reverse), bool(keep))


RECORD = OpRecord(
    "recurrence", "composite", 7, composite=_recurrence, attributes=_attributes, vjp=_vjp, partial=True,
    argument_names=("x", "h", "c", "weight", "bias", "projection", "lengths"), doc=_recurrence.__doc__,
)  # fmt: skip
recurrence = _core.Op(RECORD.name, RECORD.arity, RECORD)

__all__ = ["recurrence"]
