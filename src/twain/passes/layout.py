"""Rewrites that only matter to code generation: history markers vanish, a transposed product becomes the product of the
transposes, so that what follows it (an optimizer's update, say) can join its kernel, products that read each element of a
matrix once become the loops that they are, and parts placed into zeros and added up become a concatenation."""

from __future__ import annotations

from ..base.dtypes import DType
from ..base.shapes import contiguous_strides, size_of
from ..ir import node as ir
from ..ir.node import Graph, Node
from ..ops.elementwise import add, cast, multiply
from ..ops.families import compute_dtype
from ..ops.linalg import real_product, transpose_last
from ..ops.reduce import sum as sum_
from ..ops.shape import broadcast_to, concat, embed, reshape
from .outer import near_their_readers, readers_of, shaped

IDENTITIES = frozenset(["stop_gradient"])
MOST_PARTS = 16
VECTORS = 8  # so many times one matrix are a product worth packing for


def arrange(graph: Graph, strides: list | None = None) -> Graph:
    """The same values, in a form that lowers better. Not for differentiation: stop_gradient is gone.

    strides: those of the parameters, where they are known; else they count as contiguous."""
    nodes = graph.nodes()
    users = readers_of(nodes)
    kept = set(graph.outputs)
    memo: dict[Node | None, Node | None] = {None: None}
    for n in nodes:
        inputs = tuple(memo[i] for i in n.inputs)
        if inputs and len(n.specs) == 1 and 0 in n.shape and not _is_view(n):
            memo[n] = broadcast_to(cast(ir.make_constant(0), n.dtype), n.shape)  # nothing to compute
        elif n.op.name in IDENTITIES and inputs[0].dtype is n.dtype:
            memo[n] = inputs[0]
        elif (
            swaps_last(n)
            and inputs[0].op is real_product.record
            and users[n.inputs[0]] == {n}
            and n.inputs[0] not in kept
        ):
            a, b = inputs[0].inputs
            memo[n] = real_product(undone(b), undone(a))
        elif n.op is real_product.record and is_thin(n):
            memo[n] = thin_product(n, inputs[0], inputs[1], strides)
        elif n.op is sum_.record and (opened := sum_before_reshape(n, inputs[0])) is not None:
            memo[n] = opened
        elif n.op is add.record and (joined := parts_joined(n, memo)) is not None:
            memo[n] = joined
        else:
            memo[n] = ir.rebuild(n, inputs)
    return near_their_readers(Graph(graph.name, graph.parameters, [memo[o] for o in graph.outputs]))


def _is_view(n: Node) -> bool:
    while n.op.family == "movement":
        n = n.inputs[0]
    return n.op is ir.parameter or n.op is ir.constant


def swaps_last(n: Node) -> bool:
    """Whether `n` exchanges the last two axes and nothing else."""
    if n.op.name != "permute_dims" or len(n.shape) < 2:
        return False
    rank = len(n.shape)
    return n.attrs == (*range(rank - 2), rank - 1, rank - 2)


def undone(x: Node) -> Node:
    """The transpose of x's last two axes, without transposing twice."""
    return x.inputs[0] if swaps_last(x) else transpose_last(x)


def is_thin(n: Node) -> bool:
    """Whether the product `n` has one row, one column or one term per element, and isn't many vectors times one matrix."""
    a, b = n.inputs
    if 1 not in (*n.shape[-2:], a.shape[-1]):
        return False
    rows, columns = n.shape[-2:]
    if a.shape[-1] == 1 or (rows == 1 and columns == 1):
        return True
    matrix = b if rows == 1 else a
    return matrix.size != size_of(matrix.shape[-2:]) or size_of(n.shape[:-2]) < VECTORS


def thin_product(n: Node, a: Node, b: Node, strides: list | None) -> Node:
    """A product with one row, one column or one term per element: rows or columns of products, summed."""
    if a.shape[-1] == 0:  # sums of nothing
        return broadcast_to(cast(ir.make_constant(0), n.dtype), n.shape)
    wide = compute_dtype(n.dtype)
    a, b = converted(a, wide), converted(b, wide)
    if a.shape[-1] == 1:
        return converted(multiply(a, b), n.dtype)
    one_row, one_column = n.shape[-2] == 1, n.shape[-1] == 1
    matrix, vector = (a, b) if one_column else (b, a)  # (..., terms, results) or (..., results, terms)
    if one_row and one_column:
        terms_last = True
    else:
        along = strides_of(matrix, strides)
        rows, columns = (abs(s) for s in along[-2:])
        terms_last = (columns <= rows) if one_column else (rows < columns)
    if terms_last == (not one_column):
        matrix = undone(matrix)
    flat = vector.shape[:-2]
    terms = a.shape[-1]
    vector = shaped(vector, (*flat, 1, terms) if terms_last else (*flat, terms, 1))
    if not terms_last and len(n.shape) == 2 and matrix.op is reshape.record and not _is_view(matrix):
        source = matrix.inputs[0]
        if len(source.shape) > 2 and source.shape[0] == terms:  # what computes it can join
            total = sum_(multiply(source, shaped(vector, (terms,) + (1,) * (len(source.shape) - 1))), 0, False, wide)
            return converted(shaped(total, n.shape), n.dtype)
    total = sum_(multiply(matrix, vector), -1 if terms_last else -2, True, wide)
    return converted(shaped(total, n.shape), n.dtype)


def sum_before_reshape(n: Node, x: Node) -> Node | None:
    """A sum over axes that a reshape of something computed has merged, as the sum over those axes themselves, so that what
    computes them can join it. None if `n` is something else."""
    if x.op is not reshape.record or _is_view(x) or len(n.attrs) != 2:
        return None
    source, place, axes = x.inputs[0], 0, []
    for axis, size in enumerate(x.shape):
        begin, product = place, 1
        while product < size and place < len(source.shape):
            product *= source.shape[place]
            place += 1
        if product != size:
            return None
        if axis in n.attrs[0]:
            axes += range(begin, place)
    if place < len(source.shape) or len(axes) <= len(n.attrs[0]):
        return None
    return shaped(sum_(source, tuple(axes)), n.shape)


def parts_joined(n: Node, memo: dict) -> Node | None:
    """A sum of parts placed into zeros, side by side along one axis, as their concatenation, with at most one other summand.

    The gradient of a value that was taken apart (gates, or query, key and value out of one product) is such a sum: to
    add it up takes a pass over the whole for each part. None if `n` is something else.
    """
    parts, others = summands(n)
    if len(parts) < 2 or others and others[0] in n.inputs:  # then the rest of the sum is joined already
        return None
    shape = n.shape
    pieces = [(p.attrs[1], p.inputs[0]) for p in parts]
    partial = {a for _, x in pieces for a, d in enumerate(x.shape) if d != shape[a]}
    if len(partial) != 1:
        return None
    [axis] = partial
    pieces.sort(key=lambda piece: piece[0][axis])
    values, at = [], 0
    for starts, x in pieces:
        if starts[axis] < at:  # they overlap
            return None
        if starts[axis] > at:
            values.append(zeros(n, axis, starts[axis] - at))
        values.append(memo[x])
        at = starts[axis] + x.shape[axis]
    if at < shape[axis]:
        values.append(zeros(n, axis, shape[axis] - at))
    whole = concat(values, axis)
    return add(memo[others[0]], whole) if others else whole


def summands(n: Node) -> tuple[list, list]:
    """What the sum `n` adds up: parts placed into zeros, and the rest. No parts if it is something else."""
    parts: list[Node] = []
    others: list[Node] = []
    stack = [n]
    while stack:
        x = stack.pop()
        if x.dtype is not n.dtype or x.shape != n.shape:
            return [], []
        if (
            x.op is embed.record
            and x.attrs[3] == 0
            and all(s == 1 for s in x.attrs[2])
            and x.inputs[0].dtype is x.dtype
        ):
            parts.append(x)
        elif x.op is add.record and len(parts) + len(stack) < MOST_PARTS:
            stack += x.inputs
        else:
            others.append(x)
        if len(others) > 1:
            return [], []
    return parts, others


def zeros(like: Node, axis: int, length: int) -> Node:
    shape = (*like.shape[:axis], length, *like.shape[axis + 1 :])
    return broadcast_to(cast(ir.make_constant(0), like.dtype), shape)


def converted(x: Node, dtype: DType) -> Node:
    return x if x.dtype is dtype else cast(x, dtype)


def strides_of(x: Node, strides: list | None) -> tuple:
    """The strides that `x` will have in memory, as far as one can tell."""
    if x.op.family == "movement":
        below = x.inputs[0]
        view = x.op.rules[0](x.attrs, below.shape, strides_of(below, strides))
        if view is not None:
            return tuple(view[0])
    elif x.op.name == "cast":
        return strides_of(x.inputs[0], strides)
    elif x.op is ir.parameter and strides is not None and strides[x.attrs] is not None:
        return tuple(strides[x.attrs])
    return contiguous_strides(x.shape)
