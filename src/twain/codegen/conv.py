"""Convolution over one to three axes with run-time sizes, and through views its gradients.

    out[n, g, o, z, y, x] = epilogue(sum over c, h, i, j of in[n, g, c, Z, Y, X] * w[g, o, c, h, i, j])
    Y = (y * stride + i * kernel_dilation - pad_low) / input_dilation, X and Z likewise

where a term counts only if Z, Y and X are whole and inside the input. Tensors have any strides, negative ones too, so
the gradients are the same primitive on permuted views:

- of the input: in = output gradient, w with in/out features swapped and taps flipped, input_dilation = stride;
- of the weights: batch and features swapped in both, kernel_dilation = stride, the output gradient as w.

It runs as a matrix product (rows: o; columns: n, z, y, x; K: c, h, i, j) whose B is gathered on the way into the panels
(gather.py). A dilated input is not filled with zeros: each residue of the output position is a convolution of its own
with the taps that meet the input. Fewer than three axes are three of which the first have size 1.
"""

from __future__ import annotations

from itertools import pairwise, product
from math import gcd

from ..base.dtypes import DType
from . import gather, packing
from .direct import MOST_FEATURES, direct_step, sums_step
from .epilogue import Epilogue, only_store, stride_classes
from .gather import Gather, pad_source, table_source
from .gemm import MAX_STRIPS, PARTS, TASK, gemm_plan, panel_kernel, split_k
from .plan import Plan, Step
from .product import product_source
from .split import sum_step

K_BLOCK_GATHERED = 384  # more than in gemm.py: panels are in L2 anyway, just written
# Weights are read in place where a channel has so many taps: enough for a K block, few enough for L2.
RUN_LEAST, RUN_MOST = 96, 1024
AXES = 3


class Shape:
    """Sizes of one convolution: images n, groups g, channels c per group, features o per group; per axis the input's
    size, taps, stride and so on; padding is ((low, high), ...), negative to crop."""

    __slots__ = ("axes", "c", "g", "input_dilation", "kernel_dilation", "n", "o", "padding", "size", "stride", "taps")

    def __init__(
        self, n: int, g: int, c: int, o: int, size: tuple, taps: tuple, stride: tuple | None = None,
        padding: tuple | None = None, kernel_dilation: tuple | None = None, input_dilation: tuple | None = None,
    ):  # fmt: skip
        self.n, self.g, self.c, self.o = n, g, c, o
        self.axes = len(size)
        missing, ones = AXES - self.axes, (1,) * self.axes
        self.size, self.taps = _deep(size, missing), _deep(taps, missing)
        self.stride = _deep(stride or ones, missing)
        self.padding = ((0, 0),) * missing + tuple(padding or ((0, 0),) * self.axes)
        self.kernel_dilation = _deep(kernel_dilation or ones, missing)
        self.input_dilation = _deep(input_dilation or ones, missing)

    def out(self) -> tuple:
        """Size of the result along each axis (0 where the window does not fit)."""
        return self.deep_out()[AXES - self.axes :]

    def deep_out(self) -> tuple:
        """The same for all three axes."""
        return tuple(
            output_size(*of_axis)
            for of_axis in zip(
                self.size, self.taps, self.stride, self.padding, self.kernel_dilation, self.input_dilation
            )
        )


def _deep(values: tuple, missing: int, fill: int = 1) -> tuple:
    return (fill,) * missing + tuple(values)


def output_size(
    size: int, taps: int, stride: int, padding: tuple, kernel_dilation: int = 1, input_dilation: int = 1
) -> int:
    """Positions of a window along one dim, 0 if it never fits."""
    dilated = (size - 1) * input_dilation + 1 if size else 0
    room = dilated + padding[0] + padding[1] - (kernel_dilation * (taps - 1) + 1)
    return room // stride + 1 if room >= 0 and taps else 0


class _Residue:
    """The outputs first, first + step, ... of one dim, as a convolution without input dilation: they meet the taps
    first_tap, first_tap + tap_step, ... at input positions index * stride + tap * dilation - low."""

    __slots__ = ("count", "dilation", "first", "first_tap", "low", "step", "stride", "tap_step", "taps")


def _residues(shape: Shape, dim: int, size: int) -> list[_Residue]:
    """All residues of one dim with `size` outputs."""
    taps = shape.taps[dim]
    stride, dilation, low = shape.stride[dim], shape.kernel_dilation[dim], shape.padding[dim][0]
    input_dilation = shape.input_dilation[dim]
    out = []
    step, tap_step = input_dilation // gcd(stride, input_dilation), input_dilation // gcd(dilation, input_dilation)
    for first in range(min(step, size)):
        r = _Residue()
        r.first, r.step, r.count = first, step, -(-(size - first) // step)
        r.stride, r.dilation = step * stride // input_dilation, tap_step * dilation // input_dilation
        r.tap_step, r.taps, r.first_tap, r.low = tap_step, 0, 0, 0
        for tap in range(min(tap_step, taps)):
            offset = first * stride + tap * dilation - low
            if offset % input_dilation == 0:
                r.first_tap, r.taps, r.low = tap, -(-(taps - tap) // tap_step), -(offset // input_dilation)
        out.append(r)
    return out


def conv_plan(
    dtype_in: DType, dtype_w: DType, epilogue: Epilogue, target, shape: Shape, in_: tuple, w: tuple, outs: tuple,
    extras: tuple = (),
) -> Plan:  # fmt: skip
    """Steps for one shape. Buffers: ("a", 0) is the input, ("b", 0) the weights, then as in gemm_plan.

    Strides in elements: in_ (n, g, c, *axes), w (g, o, c, *axes), outs and extras: one (n, g, o, *axes) per operand of
    the epilogue, 0 to broadcast.
    """
    missing = AXES - shape.axes
    in_, w, *operands = ((*s[:3], *_deep(s[3:], missing, 0)) for s in (in_, w, *outs, *extras))
    sizes = shape.deep_out()
    if 0 in (shape.n, shape.g, shape.o, *sizes):
        return Plan([], [])
    residues = [_residues(shape, dim, size) for dim, size in enumerate(sizes)]
    if all(len(r) == 1 for r in residues):
        first = [r[0] for r in residues]
        plain = _as_product(dtype_in, dtype_w, epilogue, target, shape, in_, w, operands, len(outs), first)
        if plain is not None:
            return plain
    return _Planner(dtype_in, dtype_w, epilogue, target, shape, in_, w, operands, len(outs)).plan(residues)


def _as_product(
    dtype_in, dtype_w, epilogue, target, shape: Shape, in_, w, operands, outputs: int, first
) -> Plan | None:
    """One tap, one step, nothing padded: a product of matrices as they lie."""
    for r, size in zip(first, shape.size):
        if (r.taps, r.first_tap, r.stride, r.low, r.count) != (1, 0, 1, 0, size):
            return None
    places = 1
    inner = []  # the axes of more than one place, last first: they have to lie behind one another
    for axis in range(AXES - 1, -1, -1):
        if shape.size[axis] > 1:
            inner.append(axis)
            places *= shape.size[axis]
    for s in (in_, *operands):
        if any(s[3 + a] != s[3 + b] * shape.size[b] for b, a in pairwise(inner)):
            return None
    last = 3 + (inner[0] if inner else AXES - 1)
    views = tuple(((s[0], s[1]), s[2], s[last]) for s in operands)
    plan = gemm_plan(
        dtype_w, dtype_in, epilogue, target, (shape.n, shape.g), shape.o, places, shape.c,
        ((0, w[0]), w[1], w[2]), ((in_[0], in_[1]), in_[2], in_[last]), views[:outputs], views[outputs:],
    )  # fmt: skip
    swap = {"a": "b", "b": "a"}
    for step in plan.steps:
        step.buffers = tuple((swap.get(kind, kind), i, at) for kind, i, at in step.buffers)
    return plan


class _Planner:
    """Collects the steps and scratch of one convolution."""

    def __init__(self, dtype_in, dtype_w, epilogue, target, shape: Shape, in_, w, operands, outputs: int):
        self.dtype_in, self.dtype_w, self.epilogue, self.target, self.shape = dtype_in, dtype_w, epilogue, target, shape
        self.in_, self.w, self.operands, self.outputs = in_, w, operands, outputs
        self.compute = epilogue.compute
        self.size = self.compute.itemsize
        self.steps: list[Step] = []
        self.scratch: list[int] = []

    def new_scratch(self, nbytes: int) -> int:
        self.scratch.append(nbytes)
        return len(self.scratch) - 1

    def plan(self, residues: list) -> Plan:
        *outer, xs = residues
        depth, height, columns = (sum(r.count for r in of_axis) for of_axis in residues)
        self.run = self.weights_in_place(residues)
        in_place = self.dtype_w if self.run else None
        self.micro = panel_kernel(
            self.shape.o, self.shape.n * depth * height * columns, self.compute, self.target, in_place
        )
        width = max(x.count for x in xs)
        taps = max(x.taps for x in xs)
        lanes = self.micro.lanes
        while lanes > max(4, taps):
            lanes //= 2
        mode = "taps" if width < self.micro.lanes and lanes <= taps else "columns"
        self.gather = _gather(mode, self.compute, self.micro.columns, lanes if mode == "taps" else self.micro.lanes)
        phases = xs[0].dilation if mode == "taps" else xs[0].stride
        image = None
        for one in product(*residues):
            if image is None or phases > 1:  # with phases, every residue needs its own alignment
                image = self.pad([*outer, xs] if phases == 1 else [[r] for r in one], phases)
            self.residue(one, mode, image)
        return Plan(self.steps, self.scratch)

    def pad(self, residues: list, phases: int) -> tuple:
        """Make P, big enough for these residues. Returns (scratch, what comes before the input's first element along
        each axis, phases, strides of phase, row, plane, channel, group, image)."""
        s = self.shape
        (front, planes), (top, rows), (left, columns) = (_extent(r) for r in residues)
        phase = -(-columns // phases)
        row = phases * phase
        plane = rows * row
        channel = planes * plane
        group = s.c * channel
        image = s.g * group
        nbytes = (s.n * image + 2 * gather.SLACK) * self.size
        scratch = self.new_scratch(nbytes)
        unit = self.in_[5] == 1
        depth, height, width = s.size
        params = [rows, phases, phase, height, width, top, left, self.in_[4], self.in_[5]]
        params += [planes, depth, front, self.in_[3], plane, 3, s.n, s.g, s.c]
        params += (self.in_[0], image, self.in_[1], group, self.in_[2], channel)
        total = s.n * s.g * s.c * planes
        if total and plane:
            source = pad_source(self.dtype_in, self.compute, unit, phases, self.target)
            role = ("scratch", scratch, gather.SLACK * self.size)
            grain = max(1, (1 << (15 if unit and phases < 3 else 13)) // plane)
            self.steps.append(Step(source, (("a", 0, 0), role), tuple(params), total, grain))
        return scratch, (front, top, left), phases, phase, row, plane, channel, group, image

    def residue(self, one: tuple, mode: str, image: tuple) -> None:
        s, target, compute, micro = self.shape, self.target, self.compute, self.micro
        padded, before, phases, phase, row, plane, channel, group, per_image = image
        z, y, x = one
        m, n, k = s.o, s.n * z.count * y.count * x.count, s.c * z.taps * y.taps * x.taps
        rows, columns = micro.rows, micro.columns
        row_tiles, panels = -(-m // rows), -(-n // columns)
        k_blocks = max(1, -(-k // K_BLOCK_GATHERED))
        kc = -(-k // k_blocks) if k else 1
        if self.run:  # a K block for each run
            k_blocks, kc = s.c, k // s.c
        direct = k and m <= MOST_FEATURES and compute.kind == "f"
        if direct:
            rows, row_tiles = (m, 1) if mode == "columns" else (1, m)
        if self.run:
            a_role, a_params, a_group = ("b", 0, 0), (rows * self.w[1], self.w[1], self.run, self.w[2]), self.w[0]
        else:
            a_role = self.pack_weights(one, m, k, rows, row_tiles)
            a_params, a_group = (k * rows, 1, rows, kc * rows), row_tiles * k * rows

        # P's offset of this residue: with phases, the last of `before` was made to fit
        front, top, left = before
        start = (front - z.low) * plane + (top - y.low) * row + (left - x.low if phases == 1 else 0)
        b_role = ("scratch", padded, (gather.SLACK + start) * self.size if k else 0)  # no taps: never read
        table = ("scratch", padded, 0)
        if k:
            each = x.taps if mode == "columns" else 1
            table = ("scratch", self.new_scratch(8 * s.c * z.taps * y.taps * each), 0)
            params = (each, y.taps, z.taps, channel, z.dilation * plane, y.dilation * row, phases, phase, x.dilation)
            grain = max(1, 4096 // (each * y.taps * z.taps))
            self.steps.append(Step(table_source(target), (table,), params, s.c, grain))

        if direct:
            strides = [(v[0], v[2], v[3], v[4], v[1], v[5]) for v in self.views(one)]
            roles = (a_role, b_role, table, *self.roles(one))
            steps = (y.stride * row, z.stride * plane, group, per_image)
            sizes = (z.count, y.count, x.count)
            if mode == "columns":
                step = direct_step(self.epilogue, target, roles, m, s.n, s.g, k, sizes, steps, strides)
            else:
                taps = (s.c, z.taps * y.taps, x.taps)
                along = (x.stride, phases, phase)
                step = sums_step(self.epilogue, target, roles, m, s.n, s.g, taps, sizes, steps, along, strides)
            self.steps.append(step)
            return

        # All rows in one block if that leaves enough blocks: each panel is then gathered once.
        per_block = max(2, min(8, (1 << 15) // (row_tiles * rows * columns)))
        n_blocks = -(-panels // per_block)
        while s.g * n_blocks < PARTS and n_blocks < panels:
            n_blocks = min(panels, 2 * n_blocks)
        m_blocks = -(-row_tiles * rows // 1024)
        per_block, row_tiles_block = -(-panels // n_blocks), -(-row_tiles // m_blocks)
        n_blocks = -(-panels // per_block)
        blocks = s.g * m_blocks * n_blocks
        splits, split_blocks = split_k(blocks, k_blocks, k, s.g * m * n * k)
        blocks *= splits
        strips = min(blocks, MAX_STRIPS)
        slot = columns * (kc + (per_block * row_tiles_block * rows if split_blocks > 1 else 0))
        slots = ("scratch", self.new_scratch(strips * slot * self.size), 0)

        views, out_sizes = self.result(one)
        roles, classes = self.roles(one), stride_classes([v[2] for v in views])
        finish = None
        batch_strides = [v[1] for v in views]
        epilogue = self.epilogue
        if splits > 1:
            part = self.new_scratch(s.g * splits * m * n * self.size)
            finish = sum_step(
                epilogue, classes, target, (("scratch", part, 0), *roles), [(s.g, splits * m * n, batch_strides)],
                m, n, splits, m * n, n, out_sizes, [(v[0], *v[2:]) for v in views],
            )  # fmt: skip
            epilogue, classes, roles = only_store(compute), "1", [("scratch", part, 0)]
            views, out_sizes = [(n, 0, 1, 0, 0, 0)], (n, 1, 1)
            batch_strides = [splits * m * n]
        params = [
            m, n, k, kc, k_blocks, row_tiles_block, per_block, m_blocks, n_blocks, strips, blocks,
            *a_params, 0, columns, 0, panels * columns, slot,
            splits, split_blocks, m * n if splits > 1 else 0,
            x.count, y.count, z.count, per_image, z.stride * plane, y.stride * row, x.stride, phases, phase,
            max(1, x.taps), *out_sizes,
        ]  # fmt: skip
        for v in views:
            params += (v[0], *v[2:])
        params += (1, s.g, a_group, group, *batch_strides)
        source = product_source(micro, epilogue, classes, target, self.gather)
        grain = max(1, strips * TASK // max(1, s.g * m * n * k))
        buffers = (a_role, b_role, *roles, slots, table)
        self.steps.append(Step(source, buffers, tuple(params), strips, grain))
        if finish is not None:
            self.steps.append(finish)

    def weights_in_place(self, residues: list) -> int:
        """The stride of k, if the weights can be read where they lie, with a K block for each channel: output gradients,
        whose packing would take a tenth of the time. 0 if they have to be packed."""
        s = self.shape
        taps = s.taps[0] * s.taps[1] * s.taps[2]
        if s.o <= MOST_FEATURES or not RUN_LEAST <= taps <= RUN_MOST or any(len(r) > 1 for r in residues):
            return 0
        run, stride = 1, 0
        for size, step in zip(s.taps[::-1], self.w[:2:-1]):
            if size > 1:
                if run > 1 and step != run * stride:
                    return 0
                stride = stride or step
                run *= size
        return stride

    def pack_weights(self, one: tuple, m: int, k: int, rows: int, row_tiles: int) -> tuple:
        """Panels [group][row tile][k][row] of the weights that this residue meets."""
        s = self.shape
        scratch = self.new_scratch(s.g * row_tiles * k * rows * self.size)
        role = ("scratch", scratch, 0)
        if k:
            sg, so, sc, *along = self.w
            first = sum(stride * r.first_tap for stride, r in zip(along, one))
            dims, inner = [], 1  # (size, stride, number of k)
            for size, stride in zip(
                (x.taps for x in reversed(one)), (a * r.tap_step for a, r in zip(along[::-1], one[::-1]))
            ):
                dims.append((size, stride, inner))
                inner *= size
            dims = [(s.c, sc, inner), *reversed(dims)]
            inner, stride, _ = dims.pop()
            while dims and (inner == 1 or dims[-1][1] == inner * stride or dims[-1][0] == 1):
                size, outer_stride, _ = dims.pop()
                if inner == 1:
                    stride = outer_stride
                inner *= size
            batch = [(s.g, sg, row_tiles * k * rows)] + [(size, st, to * rows) for size, st, to in dims]
            source = ("b", 0, first * self.dtype_w.itemsize)
            step = packing.pack_step(
                (source, role), self.dtype_w, self.compute, rows, self.target, m, inner, so, stride, 1, inner,
                k * rows, 0, batch,
            )  # fmt: skip
            self.steps.append(step)
        return role

    def views(self, one: tuple) -> list:
        """Per operand (row, group, x, y, z, image) strides of this residue's outputs."""
        return [(s[2], s[1], *(s[5 - d] * r.step for d, r in enumerate(one[::-1])), s[0]) for s in self.operands]

    def result(self, one: tuple) -> tuple[list, tuple]:
        """Per operand (row, group, x, y, z, image) strides of this residue's outputs, and the width, height and depth
        to count columns in, with dims merged where all strides allow."""
        sizes = [*(r.count for r in one[::-1]), self.shape.n]
        strides = [list(v[2:]) for v in self.views(one)]
        for _ in range(AXES):
            for d in range(AXES):
                a, b = sizes[d], sizes[d + 1]
                if b > 1 and (a == 1 or all(s[d + 1] == a * s[d] for s in strides)):
                    for s in strides:
                        s[d] = s[d + 1] if a == 1 else s[d]
                        s[d + 1] = 0
                    sizes[d], sizes[d + 1] = a * b, 1
        return [(o[2], o[1], *s) for o, s in zip(self.operands, strides, strict=True)], tuple(sizes[:AXES])

    def roles(self, one: tuple) -> list:
        out = []
        dtypes = self.epilogue.dtypes()
        for i, (s, dtype) in enumerate(zip(self.operands, dtypes, strict=True)):
            at = sum(stride * r.first for stride, r in zip(s[3:], one)) * dtype.itemsize
            out.append(("out", i, at) if i < self.outputs else ("extra", i - self.outputs, at))
        return out


def _extent(residues: list) -> tuple[int, int]:
    """(places before the input's first, places in all) that P needs for these residues."""
    used = [r for r in residues if r.taps and r.count]
    if not used:
        return 0, 0
    low = max(r.low for r in used)
    high = max((r.count - 1) * r.stride + (r.taps - 1) * r.dilation - r.low for r in used)
    return low, high + low + 1


_GATHERS: dict = {}


def _gather(mode: str, compute: DType, columns: int, lanes: int) -> Gather:
    memo = (mode, compute, columns, lanes)
    if memo not in _GATHERS:
        _GATHERS[memo] = Gather(*memo)
    return _GATHERS[memo]
