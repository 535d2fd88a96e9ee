"""Matrix products with run-time sizes: C[b, m, n] = epilogue(sum over k of A[b, m, k] * B[b, k, n]).

`gemm_plan` chooses, by sizes and strides alone, between packing both operands and walking them where they lie, and
returns the steps for the plan executor. One kernel serves all shapes; any strides are right, the usual ones are fast.
The blocking follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008), except that
both operands are packed in steps of their own, so that the steps need no synchronisation inside.
"""

from __future__ import annotations

from ..base.dtypes import DType
from . import microkernel, packing
from .epilogue import Epilogue, only_store, stride_classes
from .plan import Plan, Step
from .product import product_source
from .split import sum_step

K_BLOCK = 256  # at most
PANEL_BYTES = 24 << 10  # a block of a B panel: it stays in L1 while tiles of A pass by
ROWS_BLOCK = 128  # rows of A in L2, beside the sums of a block
COLUMNS_BLOCK = 256
TASK = 1 << 18  # multiply-adds worth handing to another thread: about 5 us
MAX_STRIPS = 64
PARTS = 8  # pieces of work wanted of anything large

_MICRO: dict = {}


def gemm_plan(
    dtype_a: DType, dtype_b: DType, epilogue: Epilogue, target, batch: tuple, m: int, n: int, k: int,
    a: tuple, b: tuple, outs: tuple, extras: tuple = (),
) -> Plan:  # fmt: skip
    """Steps for one shape.

    batch: sizes of the batch dims. a: (batch strides, row stride, k stride); b: (batch strides, k stride, column
    stride); outs and extras: one (batch strides, row stride, column stride) per operand of the epilogue; strides in
    elements, 0 to broadcast. Sums have the epilogue's dtype `compute`: float32 for half precision, else the operands'.
    """
    operands = (*outs, *extras)
    a_role, b_role = ("a", 0, 0), ("b", 0, 0)
    if 0 in (m, n) or 0 in batch:
        return Plan([], [])
    if batch:
        batch, m, n, a, b, operands = _merge_batch(batch, m, n, a, b, operands)
    # Rows and columns change places where that makes the result's columns contiguous, or a matrix times a vector
    # a vector times a matrix, or spares packing the larger operand.
    compute = epilogue.compute
    down = n > 1 and m > 1 and operands[0][2] != 1 and operands[0][1] == 1
    turned = not down and dtype_a is dtype_b is compute and _turns(m, n, k, a, b, compute, target)
    if (n == 1 and m > 1) or down or turned:
        m, n = n, m
        dtype_a, dtype_b, a_role, b_role = dtype_b, dtype_a, b_role, a_role
        a, b = (b[0], b[2], b[1]), (a[0], a[2], a[1])
        operands = tuple((s, c, r) for s, r, c in operands)
    column_strides = [c for _, _, c in operands] if n > 1 else [1] * len(operands)
    classes = stride_classes(column_strides)
    count = 1
    for size in batch:
        count *= size

    kind = "packed b" if turned else _choose(m, n, k, a, b, dtype_a, dtype_b, compute)
    packed_a, packed_b = kind == "packed", kind in ("packed", "packed b")
    if packed_b:
        micro = panel_kernel(m, n, compute, target, None if packed_a else dtype_a)
    else:
        micro = micro_kernel(kind, dtype_a, dtype_b, compute, target, m == 1)
    rows, columns = micro.rows, micro.columns
    all_tiles, all_panels = -(-m // rows), -(-n // columns)
    work = count * m * n * k
    m_blocks, n_blocks, row_tiles, panels = _blocks(all_tiles, all_panels, rows, columns, count, work)
    blocks = count * m_blocks * n_blocks
    kc, k_blocks = k, 1
    if packed_b:
        k_blocks = max(1, -(-k // min(K_BLOCK, PANEL_BYTES // (columns * compute.itemsize))))
        kc = max(1, -(-k // (k_blocks * microkernel.UNROLL)) * microkernel.UNROLL)
        k_blocks = max(1, -(-k // kc))
    splits, split_blocks = split_k(blocks, k_blocks, k, work)
    if not packed_b:
        kc, k_blocks, split_blocks = max(1, -(-k // splits)), splits, 1

    steps, scratch = [], []
    batch_a, batch_b = a[0], b[0]
    if packed_a:
        steps.append(_pack(a_role, 0, dtype_a, compute, rows, batch, m, k, kc, k_blocks, a, target))
        panel = _panel(kc * rows, compute)
        size = k_blocks * all_tiles * panel
        batch_a = _dense(batch, a[0], size)
        scratch.append(_elements(batch, a[0]) * size * compute.itemsize)
        a_params = (panel, 1, rows, all_tiles * panel)
        a_role = ("scratch", 0, 0)
    else:
        a_params = (rows * a[1], a[1], a[2], kc * a[2])
    if packed_b:
        panel = _panel(kc * columns, compute)
        view, size = (b[0], b[2], b[1]), k_blocks * all_panels * panel
        steps.append(_pack(b_role, len(scratch), dtype_b, compute, columns, batch, n, k, kc, k_blocks, view, target))
        batch_b = _dense(batch, b[0], size)
        b_role = ("scratch", len(scratch), 0)
        scratch.append(_elements(batch, b[0]) * size * compute.itemsize)
        b_params = (panel, columns, all_panels * panel, all_panels * columns)
    else:
        b_params = (columns * b[2], b[2] if kind == "dot" else b[1], kc * b[1], n)

    blocks *= splits
    slot = row_tiles * panels * rows * columns if split_blocks > 1 else 0
    strips = min(blocks, MAX_STRIPS) if slot else blocks
    slots = ("scratch", len(scratch), 0)
    scratch.append(strips * slot * compute.itemsize)
    roles = [("out", i, 0) for i in range(len(outs))] + [("extra", i, 0) for i in range(len(extras))]
    batch_strides = [[o[0][d] for o in operands] for d in range(len(batch))]
    plane_strides = [(r, c) for (_, r, _), c in zip(operands, column_strides, strict=True)]
    finish = None
    if splits > 1:
        parts = ("scratch", len(scratch), 0)
        scratch.append(count * splits * m * n * compute.itemsize)
        dense = _dense(batch, (1,) * len(batch), splits * m * n)
        finish = sum_step(
            epilogue, classes, target, (parts, *roles), list(zip(batch, dense, batch_strides, strict=True)), m, n, splits,
            m * n, n, (n, 1, 1), [(r, c, 0, 0, 0) for r, c in plane_strides],
        )  # fmt: skip
        epilogue, classes, roles = only_store(compute), "1", [parts]
        batch_strides, plane_strides = [[s] for s in dense], [(n, 1)]
    params = [
        m, n, k, kc, k_blocks, row_tiles, panels, m_blocks, n_blocks, strips, blocks, *a_params, *b_params, slot,
        splits, split_blocks, m * n if splits > 1 else 0,
    ]  # fmt: skip
    for pair in plane_strides:
        params += pair
    params.append(len(batch))
    params += batch
    for d in range(len(batch)):
        params += (batch_a[d], batch_b[d], *batch_strides[d])
    source = product_source(micro, epilogue, classes, target)
    grain = max(1, strips * TASK // max(1, work))
    steps.append(Step(source, (a_role, b_role, *roles, slots), tuple(params), strips, grain))
    if finish is not None:
        steps.append(finish)
    return Plan(steps, scratch)


def split_k(blocks: int, k_blocks: int, k: int, work: int) -> tuple[int, int]:
    """(ranges that K is split into, K blocks in each), so that a long sum with few results can be shared out.

    It goes by sizes alone: results don't depend on the number of threads.
    """
    splits = min(-(-PARTS // blocks), k // (2 * K_BLOCK)) if blocks < PARTS and work >= 4 * TASK else 1
    if splits < 2:
        return 1, k_blocks
    if k_blocks == 1:
        return splits, 1
    each = -(-k_blocks // splits)
    return -(-k_blocks // each), each


def _turns(m: int, n: int, k: int, a: tuple, b: tuple, compute: DType, target) -> bool:
    """Whether some rows times a larger transposed matrix (as in `x @ w.T`) are better the transposed product: the matrix,
    whose packing would take as long as the product, is then read where it lies."""
    if compute.kind != "f" or m > 128 or n < 2 * m or n * k * compute.itemsize < 1 << 15:
        return False
    columns = micro_kernel("outer", compute, compute, compute, target).columns
    return a[2] == b[1] == 1 and b[2] > 1 and 4 * (-(-m // columns) * columns) <= 5 * m


def _choose(m: int, n: int, k: int, a: tuple, b: tuple, dtype_a: DType, dtype_b: DType, compute: DType) -> str:
    """How to walk the operands: "stream", "dot", "outer" (nothing packed), "packed b" or "packed" (both).

    The thresholds were measured with AVX2 (`bench/gemm.py --kinds`); they move little between machines.
    """
    a_bytes, b_bytes = m * k * compute.itemsize, k * n * compute.itemsize
    b_rows = b[2] == 1 or n == 1
    if compute.kind != "f":
        return "outer" if b_rows else "packed b"
    converting = dtype_a is not compute or dtype_b is not compute  # costs again with every reading
    if b_rows:
        if (m <= 2 and b_bytes >= 1 << 14) or (m <= 8 and b_bytes >= 1 << 20):
            return "stream"
        if b_bytes <= 1 << 15 or (m <= 32 and b_bytes <= 1 << 19) or (m <= 16 and b_bytes <= 1 << 20):
            if (n <= 128 or a[2] == 1 or a_bytes <= 1 << 15) and (m <= 12 or not converting):
                return "outer"
    elif a[2] == 1 and b[1] == 1:
        if (k >= 64 and (m <= 4 or n <= 16)) or (k >= 192 and m <= 16) or (k >= 384 and m <= 48):
            return "dot"
    if n <= 128 or a_bytes <= (1 << 20 if a[2] == 1 else 1 << 15):
        return "packed" if converting and n > 16 else "packed b"
    return "packed"


def micro_kernel(kind: str, dtype_a: DType, dtype_b: DType, compute: DType, target, single_row: bool = False):
    memo = (kind, dtype_a.code, dtype_b.code, compute.code, target.name, single_row and kind == "dot")
    micro = _MICRO.get(memo)
    if micro is None:
        if kind == "outer":
            micro = microkernel.outer_kernel(dtype_a, dtype_b, compute, target)
        elif kind == "dot":
            micro = microkernel.dot_kernel(dtype_a, dtype_b, compute, target, single_row)
        else:
            micro = microkernel.stream_kernel(dtype_a, dtype_b, compute, target)
        _MICRO[memo] = micro
    return micro


def panel_kernel(m: int, n: int, compute: DType, target, dtype_a: DType | None = None):
    """The register tile for an m x n product with a packed B (and A, unless its dtype is given): a slower one if it computes
    noticeably less beyond the edges."""
    kind, left = ("mixed", dtype_a) if dtype_a else ("panels", compute)
    memo = (kind, left.code, compute.code, target.name)
    micros = _MICRO.get(memo)
    if micros is None:
        micros = _MICRO[memo] = microkernel.panel_kernels(kind, left, compute, target)

    def area(micro) -> int:
        over = (n - 1) % micro.columns + 1
        # a narrow kernel with few sums waits for its own additions
        spares = over <= micro.narrow < n and micro.rows * micro.narrow >= 16 * micro.lanes
        spared = micro.lanes if spares else 0
        return -(-m // micro.rows) * micro.rows * (n - over + micro.columns - spared)

    best = micros[0]
    for micro in micros[1:]:
        if 33 * area(micro) < 32 * area(best):
            best = micro
    return best


def _blocks(row_tiles: int, panels: int, rows: int, columns: int, batch: int, work: int) -> tuple[int, int, int, int]:
    """(blocks along m, blocks along n, tiles per block, panels per block), as even as possible."""
    m_blocks = -(-row_tiles * rows // ROWS_BLOCK)
    n_blocks = -(-panels * columns // COLUMNS_BLOCK)
    # enough blocks to share among threads, as long as each is worth it
    wanted = min(PARTS, work // TASK)
    while batch * m_blocks * n_blocks < wanted and (n_blocks < panels or m_blocks < row_tiles):
        if n_blocks < panels:
            n_blocks = min(panels, 2 * n_blocks)
        else:
            m_blocks = min(row_tiles, 2 * m_blocks)
    row_tiles, panels = -(-row_tiles // m_blocks), -(-panels // n_blocks)
    return m_blocks, n_blocks, row_tiles, panels


def _panel(size: int, compute: DType) -> int:
    """Elements from one panel to the next: a cache line more than they hold, or panels written side by side would all
    want the same few places of the cache."""
    line = 64 // compute.itemsize
    return -(-size // line) * line + line


def _pack(role, number, dtype, compute, width, batch, p, k, kc, k_blocks, view, target) -> Step:
    strides, stride_p, stride_k = view
    panels = -(-p // width)
    panel = _panel(kc * width, compute)
    to = _dense(batch, strides, k_blocks * panels * panel)
    kept = [(batch[d], strides[d], to[d]) for d in range(len(batch)) if strides[d]]
    return packing.pack_step(
        (role, ("scratch", number, 0)), dtype, compute, width, target, p, k, stride_p, stride_k, k_blocks, kc,
        panel, panels * panel, kept,
    )  # fmt: skip


def _elements(batch: tuple, strides: tuple) -> int:
    """How many different matrices a batch has (broadcast dims count once)."""
    count = 1
    for size, stride in zip(batch, strides, strict=True):
        if stride:
            count *= size
    return count


def _dense(batch: tuple, strides: tuple, size: int) -> list[int]:
    """Batch strides of densely packed matrices of `size` elements, 0 where the original is broadcast."""
    out = [0] * len(batch)
    for d in range(len(batch) - 1, -1, -1):
        if strides[d]:
            out[d] = size
            size *= batch[d]
    return out


def _merge_batch(batch: tuple, m: int, n: int, a: tuple, b: tuple, operands: tuple) -> tuple:
    """Fewer batch dims: sizes of 1 dropped, neighbours collapsed, and the last one folded into rows (B broadcast) or
    columns (A broadcast) where all strides allow it."""
    columns = [[*x] for x in zip(a[0], b[0], *(o[0] for o in operands), strict=True)]
    sizes: list[int] = []
    strides: list[list[int]] = []
    for size, stride in zip(batch, columns, strict=True):
        if size == 1:
            continue
        if sizes and all(outer == inner * size for outer, inner in zip(strides[-1], stride, strict=True)):
            sizes[-1] *= size
            strides[-1] = stride
        else:
            sizes.append(size)
            strides.append(stride)
    if sizes:
        s = strides[-1]
        if (
            s[1] == 0
            and (m == 1 or s[0] == m * a[1])
            and all(m == 1 or x == m * o[1] for x, o in zip(s[2:], operands, strict=True))
        ):
            if m == 1:
                a = (a[0], s[0], a[2])
                operands = tuple((o[0], x, o[2]) for x, o in zip(s[2:], operands, strict=True))
            m *= sizes.pop()
            strides.pop()
        elif (
            s[0] == 0
            and n > 1
            and s[1] == n * b[2]
            and all(x == n * o[2] for x, o in zip(s[2:], operands, strict=True))
        ):
            n *= sizes.pop()
            strides.pop()
    a = (tuple(s[0] for s in strides), a[1], a[2])
    b = (tuple(s[1] for s in strides), b[1], b[2])
    operands = tuple((tuple(s[2 + i] for s in strides), o[1], o[2]) for i, o in enumerate(operands))
    return tuple(sizes), m, n, a, b, operands
