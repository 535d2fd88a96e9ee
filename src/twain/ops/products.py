"""Sums of products: einsum with a greedily chosen order of contraction, and the products of vectors and matrices that
are cases of it. Everything becomes transposes, reshapes and batched matrix products, so derivatives follow.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import normalize_axis, size_of
from .arrange import diagonal
from .elementwise import add, cast, conj, multiply
from .families import composite
from .linalg import matmul, product
from .nn.rules import in_float32
from .reduce import sum as sum_
from .samples import Samples
from .shape import broadcast_to, permute_dims, reshape

_REFERENCES = "twain.testing.everyday_references."


# ---------------------------------------------------------------- einsum: the equation
def parse(equation: object) -> tuple:
    """(labels per operand, labels of the result or None if implicit); an ellipsis is the label "..."."""
    if not isinstance(equation, str):
        raise ArgumentError(f"expected the equation to be a str such as 'ij,jk->ik', got {equation!r}")
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    if "->" in right:
        raise ValueRangeError(f"expected at most one '->' in the equation, got {equation!r}")
    operands = tuple(_labels(part, equation) for part in left.split(","))
    return operands, (_labels(right, equation) if arrow else None)


def _labels(part: str, equation: str) -> tuple:
    before, dots, after = part.partition("...")
    for c in before + after:
        if not (c.isascii() and c.isalpha()):
            raise ValueRangeError(
                f"expected the equation to consist of letters, ',', '...' and '->', got {c!r} in {equation!r}"
            )
    return (*before, "...", *after) if dots else tuple(before)


def sublists(args: tuple) -> tuple:
    """(equation as parse gives it, operands) of the form einsum(x, [0, 1], y, [1, 2], [0, 2])."""
    operands, labels, result = [], [], None
    rest = list(args)
    if len(rest) % 2:
        result = _sublist(rest.pop())
    for x, axes in zip(rest[::2], rest[1::2]):
        operands.append(x)
        labels.append(_sublist(axes))
    return (tuple(labels), result), operands


def _sublist(axes: object) -> tuple:
    if not isinstance(axes, (list, tuple)):
        raise ArgumentError(f"[einsum] expected operands, each followed by a list of ints, got {type(axes).__name__}")
    result = []
    for a in axes:
        if a is Ellipsis:
            result.append("...")
        elif isinstance(a, int) and not isinstance(a, bool) and 0 <= a < 52:
            result.append(chr(ord("A") + a) if a < 26 else chr(ord("a") + a - 26))
        else:
            raise ValueRangeError(f"[einsum] expected sublists of ints in [0, 52) or Ellipsis, got {a!r}")
    return tuple(result)


def _resolve(equation: tuple, values: tuple) -> tuple:
    """(labels per operand, labels of the result) with every ellipsis spelled out as labels (numbers)."""
    operands, result = equation
    if len(operands) != len(values):
        raise ShapeError(f"[einsum] expected as many operands as the equation has ({len(operands)}), got {len(values)}")
    extra = []  # how many axes each ellipsis stands for
    for labels, x in zip(operands, values):
        named = sum(label != "..." for label in labels)
        if "..." not in labels and named != x.ndim or named > x.ndim:
            raise ShapeError(
                f"[einsum] expected an operand of {named} axes for '{''.join(labels)}', got shape {tuple(x.shape)}"
            )
        extra.append(x.ndim - named)
    widest = max((e for labels, e in zip(operands, extra) if "..." in labels), default=0)

    def spelled(labels: tuple, count: int) -> tuple:
        found: list = []
        for label in labels:
            if label == "...":
                found.extend(range(widest - count, widest))
            else:
                found.append(label)
        return tuple(found)

    if result is None:  # what occurs once, in alphabetical order, after the ellipsis
        flat = [label for labels in operands for label in labels if label != "..."]
        once = sorted(label for label in set(flat) if flat.count(label) == 1)
        result = (*(("...",) if any("..." in labels for labels in operands) else ()), *once)
    inputs = [spelled(labels, e) for labels, e in zip(operands, extra)]
    output = spelled(result, widest)
    if len(set(output)) != len(output):
        raise ValueRangeError(f"[einsum] expected each label once in the result, got '{''.join(map(str, result))}'")
    known = {label for labels in inputs for label in labels}
    for label in output:
        if label not in known:
            raise ValueRangeError(f"[einsum] expected the result's labels among the operands', got {label!r}")
    return inputs, output


# ---------------------------------------------------------------- einsum: contraction
class _Term:
    """An operand: a value and its labels, each once."""

    __slots__ = ("labels", "value")

    def __init__(self, value, labels: tuple):
        self.value = value
        self.labels = labels


def _without_repeats(value, labels: tuple) -> _Term:
    """Repeated labels become a diagonal."""
    for label in set(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if value.shape[first] != value.shape[second]:
                raise ShapeError(
                    f"[einsum] expected equal sizes for the repeated label {label!r}, got {tuple(value.shape)}"
                )
            value = diagonal(value, 0, first, second)
            labels = (*(x for i, x in enumerate(labels) if i not in (first, second)), label)
    return _Term(value, labels)


def _fold(term: _Term, needed: set) -> _Term:
    """Labels that nobody else needs are summed over."""
    axes = tuple(i for i, label in enumerate(term.labels) if label not in needed)
    if not axes:
        return term
    kept = tuple(label for label in term.labels if label in needed)
    wanted = term.value.dtype
    value = sum_(term.value, axes)
    return _Term(value if value.dtype is wanted else cast(value, wanted), kept)


def _arranged(term: _Term, *groups: list):
    """The value with axes in the order of `groups`, each group merged into one axis."""
    order = [term.labels.index(label) for group in groups for label in group]
    value = term.value if order == sorted(order) else permute_dims(term.value, tuple(order))
    size = dict(zip(term.labels, term.value.shape))
    shape = tuple(size_of(tuple(size[label] for label in group)) for group in groups)
    return value if tuple(value.shape) == shape else reshape(value, shape)


def _lined_up(term: _Term, labels: list):
    """The value with one axis per label, of size 1 where it has none."""
    own = [label for label in labels if label in term.labels]
    order = tuple(term.labels.index(label) for label in own)
    value = term.value if order == tuple(range(len(order))) else permute_dims(term.value, order)
    size = dict(zip(term.labels, term.value.shape))
    shape = tuple(size.get(label, 1) for label in labels)
    return value if tuple(value.shape) == shape else reshape(value, shape)


def _contract(a: _Term, b: _Term, needed: set) -> _Term:
    """The product of two operands, summed over labels that are not needed any more."""
    a, b = _fold(a, needed | set(b.labels)), _fold(b, needed | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch = [label for label in shared if label in needed]
    inner = [label for label in shared if label not in needed]
    left = [label for label in a.labels if label not in shared]
    right = [label for label in b.labels if label not in shared]
    if not inner or (not left and not right):  # elementwise, then a sum
        labels = [*batch, *left, *right, *inner]
        return _fold(_Term(multiply(_lined_up(a, labels), _lined_up(b, labels)), tuple(labels)), needed)
    size = {**dict(zip(b.labels, b.value.shape)), **dict(zip(a.labels, a.value.shape))}
    groups_a, groups_b = ([batch] if batch else []), ([batch] if batch else [])
    found = product(_arranged(a, *groups_a, left, inner), _arranged(b, *groups_b, inner, right))
    labels = (*batch, *left, *right)
    shape = tuple(size[label] for label in labels)
    return _Term(found if tuple(found.shape) == shape else reshape(found, shape), labels)


def _next_pair(terms: list, output: tuple, size: dict) -> tuple:
    """The pair to contract next: the one that shrinks what is stored most, then the cheapest (opt_einsum's greedy rule)."""
    best = None
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            a, b = set(terms[i].labels), set(terms[j].labels)
            others = set(output).union(*[set(t.labels) for k, t in enumerate(terms) if k not in (i, j)])
            kept = (a | b) & others
            grown = (
                size_of(tuple(size[x] for x in kept))
                - size_of(tuple(size[x] for x in a))
                - size_of(tuple(size[x] for x in b))
            )
            work = size_of(tuple(size[x] for x in a | b))
            score = (grown, work, not a & b)
            if best is None or score < best[0]:
                best = (score, i, j)
    return best[1:]


def _einsum(equation, *values):
    """Sums of products of the operands, as an equation says: "ij,jk->ik" is the matrix product.

    A label names an axis; labels that are not in the result are summed over; a label twice in one operand takes its
    diagonal; "..." stands for axes that broadcast. Without "->" the result has the labels that occur once, in
    alphabetical order. Several operands are contracted pair by pair in a greedily chosen order.
    """
    common = dt.strengthen(dt.promote("einsum", *[x.dtype for x in values]))
    if common.kind == "b":
        raise DTypeError("[einsum] expected numeric operands, got bool")
    inputs, output = _resolve(equation, values)
    size: dict = {}
    for labels, x in zip(inputs, values):
        for label, d in zip(labels, x.shape):
            have = size.setdefault(label, d)
            if have != d and have != 1 and d != 1:
                raise ShapeError(
                    f"[einsum] expected one size per label, got {have} and {d} for {label!r} in shapes "
                    + ", ".join(str(tuple(v.shape)) for v in values)
                )
            if have == 1:
                size[label] = d
    terms = []
    for labels, x in zip(inputs, values):
        term = _without_repeats(x if x.dtype is common else cast(x, common), labels)
        thin = [i for i, label in enumerate(term.labels) if term.value.shape[i] == 1 and size[label] != 1]
        if thin:  # an axis that broadcasts takes no part
            shape = tuple(d for i, d in enumerate(term.value.shape) if i not in thin)
            term = _Term(reshape(term.value, shape), tuple(x for i, x in enumerate(term.labels) if i not in thin))
        terms.append(term)
    everywhere = {label for term in terms for label in term.labels}
    if len(terms) == 1:
        terms[0] = _fold(terms[0], set(output))
    while len(terms) > 1:
        i, j = _next_pair(terms, output, size)
        second, first = terms.pop(j), terms.pop(i)
        needed = set(output).union(*[set(t.labels) for t in terms])
        terms.append(_contract(first, second, needed))
    [term] = terms
    result = _lined_up(_fold(term, set(output)), list(output))
    shape = tuple(size[label] if label in everywhere else 1 for label in output)
    return result if tuple(result.shape) == shape else broadcast_to(result, shape)


einsum_op = composite(
    "einsum", -1, _einsum, attributes=lambda equation: equation if type(equation) is tuple else parse(equation),
    reference=_REFERENCES + "einsum", onnx="Einsum",
    samples=Samples(((-2, 2), (-2, 2)), arguments=((("ij,jk->ik",), {}), (("bij,bkj",), {}), (("...ii,i...->i...",), {}),
                                                   (("ab,ab->",), {})),
                    shapes=(((3, 4), (4, 5)), ((2, 3, 4), (2, 5, 4)), ((2, 3, 3), (3, 2)), ((3, 4), (3, 4)))),
)  # fmt: skip


def einsum(equation, *operands):
    """Sums of products of the operands, as an equation says: `einsum("ij,jk->ik", a, b)` is the matrix product.

    Args:
        equation: labels per operand, one letter per axis, then "->" and the labels of the result. Labels that are not in
            the result are summed over; a label twice in one operand takes its diagonal; "..." stands for axes that
            broadcast. Without "->" the result has the labels that occur once, in alphabetical order.
        operands: tensors, as many as the equation has; or one sequence of them. `einsum(a, [0, 1], b, [1, 2], [0, 2])`,
            with lists of ints in place of an equation, means the same.

    Several operands are contracted pair by pair, in an order chosen greedily (by the growth of what is stored).
    """
    if not isinstance(equation, str):
        parsed, values = sublists((equation, *operands))
        return einsum_op(values, parsed)
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return einsum_op(list(operands), equation)


# ---------------------------------------------------------------- tensordot and its like
def _tensordot_attributes(axes=2):
    if isinstance(axes, (list, tuple)):
        if len(axes) != 2:
            raise ArgumentError(f"[tensordot] expected axes to be an int or two sequences of ints, got {axes!r}")
        pair = tuple((a,) if isinstance(a, int) else tuple(a) for a in axes)
        if len(pair[0]) != len(pair[1]):
            raise ShapeError(f"[tensordot] expected as many axes of x1 as of x2, got {pair[0]} and {pair[1]}")
        return pair
    if not isinstance(axes, int) or isinstance(axes, bool):
        raise ArgumentError(f"[tensordot] expected axes to be an int or two sequences of ints, got {axes!r}")
    if axes < 0:
        raise ValueRangeError(f"[tensordot] expected axes of at least 0, got {axes}")
    return axes


def _tensordot(axes, a, b):
    """Sum of products over `axes`: the last n of x1 with the first n of x2, or two sequences of axes."""
    if isinstance(axes, int):
        if axes > a.ndim or axes > b.ndim:
            raise ShapeError(
                f"[tensordot] expected operands of at least {axes} axes, got shapes {tuple(a.shape)} and {tuple(b.shape)}"
            )
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    left = [normalize_axis("tensordot", i, a.ndim) for i in axes[0]]
    right = [normalize_axis("tensordot", i, b.ndim) for i in axes[1]]
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise ShapeError(f"[tensordot] expected distinct axes, got {axes}")
    for i, j in zip(left, right):
        if a.shape[i] != b.shape[j]:
            raise ShapeError(
                f"[tensordot] expected equal sizes of axes {i} and {j}, got shapes {tuple(a.shape)} and {tuple(b.shape)}"
            )
    keep_a = [i for i in range(a.ndim) if i not in left]
    keep_b = [j for j in range(b.ndim) if j not in right]
    shape = (*(a.shape[i] for i in keep_a), *(b.shape[j] for j in keep_b))
    inner = size_of(tuple(a.shape[i] for i in left))
    rows = reshape(permute_dims(a, (*keep_a, *left)), (size_of(tuple(a.shape[i] for i in keep_a)), inner))
    columns = reshape(permute_dims(b, (*right, *keep_b)), (inner, size_of(tuple(b.shape[j] for j in keep_b))))
    return reshape(product(rows, columns), shape)


tensordot = composite(
    "tensordot", 2, _tensordot, attributes=_tensordot_attributes, reference=_REFERENCES + "tensordot",
    samples=Samples(((-2, 2), (-2, 2)), arguments=((((1,)), {}), ((((0, 1), (1, 0)),), {}), ((0,), {})),
                    shapes=(((2, 3), (3, 4)), ((3, 4, 2), (4, 3)), ((2,), (3,)))),
    errors=(((9,), {}, "[tensordot]"), (("x",), {}, "[tensordot]"), ((-1,), {}, "[tensordot]")),
)  # fmt: skip


def _vector(name: str, x, what: str):
    if x.ndim != 1:
        raise ShapeError(f"[{name}] expected {what} to have one axis, got shape {tuple(x.shape)}")
    return x


def _matrix(name: str, x, what: str, rank: int = 2):
    if x.ndim != rank:
        raise ShapeError(f"[{name}] expected {what} to have {rank} axes, got shape {tuple(x.shape)}")
    return x


def _dot(attrs, a, b):
    """The sum of the products of two vectors of one length."""
    return matmul(_vector("dot", a, "x1"), _vector("dot", b, "x2"))


def _vdot(attrs, a, b):
    """The sum of conj(x1) * x2 over all elements of two vectors of one length."""
    a, b = _vector("vdot", a, "x1"), _vector("vdot", b, "x2")
    return matmul(conj(a) if a.dtype.kind == "c" else a, b)


def _inner(attrs, a, b):
    """Sum of products over the last axes: shape x1[:-1] + x2[:-1]."""
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            f"[inner] expected equal sizes of the last axes, got shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return _tensordot(((-1,), (-1,)), a, b)


def _outer(attrs, a, b):
    """Products of each element of a vector with each of another: shape (len(x1), len(x2))."""
    a, b = _vector("outer", a, "x1"), _vector("outer", b, "x2")
    return multiply(reshape(a, (a.size, 1)), b)


def _kron(attrs, a, b):
    """The Kronecker product: x1 with each element replaced by that element times x2."""
    rank = max(a.ndim, b.ndim)
    sizes_a = (1,) * (rank - a.ndim) + tuple(a.shape)
    sizes_b = (1,) * (rank - b.ndim) + tuple(b.shape)
    left = reshape(a, tuple(d for size in sizes_a for d in (size, 1)))
    right = reshape(b, tuple(d for size in sizes_b for d in (1, size)))
    return reshape(multiply(left, right), tuple(p * q for p, q in zip(sizes_a, sizes_b)))


def _mv(attrs, a, x):
    """A matrix times a vector."""
    return matmul(_matrix("mv", a, "x1"), _vector("mv", x, "x2"))


def _mm(attrs, a, b):
    """The product of two matrices; matmul takes more."""
    return product(_matrix("mm", a, "x1"), _matrix("mm", b, "x2"))


def _bmm(attrs, a, b):
    """Products of two stacks of matrices: (B, n, m) and (B, m, p) give (B, n, p)."""
    a, b = _matrix("bmm", a, "x1", 3), _matrix("bmm", b, "x2", 3)
    if a.shape[0] != b.shape[0]:
        raise ShapeError(f"[bmm] expected as many matrices in x1 as in x2, got {tuple(a.shape)} and {tuple(b.shape)}")
    return product(a, b)


def _product_op(name: str, function, shapes: tuple, reference: str | None = None):
    errors = (((), {}, f"[{name}]", ((None, (2, 3)), (None, (4, 5)))),)
    return composite(name, 2, function, reference=reference or "numpy." + name, errors=None if name == "kron" else errors,
                     samples=Samples(((-2, 2), (-2, 2)), shapes=shapes))  # fmt: skip


dot = _product_op("dot", _dot, (((5,), (5,)),))
vdot = _product_op("vdot", _vdot, (((5,), (5,)),))
inner = _product_op("inner", _inner, (((2, 3), (4, 3)), ((), (2,))))
outer = _product_op("outer", _outer, (((3,), (4,)),))
kron = _product_op("kron", _kron, (((2, 3), (3, 2)), ((3,), (2, 2))))
mv = _product_op("mv", _mv, (((3, 4), (4,)),), "numpy.matmul")
mm = _product_op("mm", _mm, (((3, 4), (4, 2)),), "numpy.matmul")
bmm = _product_op("bmm", _bmm, (((2, 3, 4), (2, 4, 5)),), "numpy.matmul")


# ---------------------------------------------------------------- a product added to something
def _scales(beta=1, alpha=1):
    for name, value in (("beta", beta), ("alpha", alpha)):
        if isinstance(value, bool) or not isinstance(value, (int, float, complex)):
            raise ArgumentError(f"expected {name} to be a number, got {value!r}")
    return (beta, alpha)


def _adding(name: str, function, shapes: tuple):
    """beta * x + alpha * product; with beta 0 x is not read (a NaN in it has no effect)."""

    def composed(attrs, x, a, b):
        beta, alpha = attrs
        found = function(a, b)
        if alpha != 1:
            found = multiply(found, alpha)
        common = dt.strengthen(dt.promote(name, x.dtype, found.dtype))
        if beta == 0:
            return found if found.dtype is common else cast(found, common)
        if tuple(x.shape) != tuple(found.shape):
            x = broadcast_to(x, tuple(found.shape))
        return add(x if beta == 1 else multiply(x, beta), found)

    composed.__doc__ = f"beta * x + alpha * ({function.__doc__}); with beta 0 x is not read."
    return composite(
        name, 3, in_float32(composed), attributes=_scales, names=("x", "x1", "x2"), reference=_REFERENCES + name,
        errors=((("x",), {}, "beta"), ((1, None), {}, "alpha")),
        samples=Samples(((-2, 2),) * 3, arguments=(((), {}), ((), {"beta": 0.5, "alpha": 2})), shapes=(shapes, shapes)),
    )  # fmt: skip


def _mm_of(a, b):
    """x1 @ x2, matrices"""
    return _mm(None, a, b)


def _mv_of(a, b):
    """x1 @ x2, a matrix and a vector"""
    return _mv(None, a, b)


def _outer_of(a, b):
    """the outer product of x1 and x2"""
    return _outer(None, a, b)


def _bmm_of(a, b):
    """bmm(x1, x2), stacks of matrices"""
    return _bmm(None, a, b)


def _sum_bmm_of(a, b):
    """the sum over the stack of bmm(x1, x2)"""
    found = _bmm(None, a, b)
    return cast(sum_(found, 0), found.dtype)


addmm = _adding("addmm", _mm_of, ((4,), (3, 5), (5, 4)))
addmv = _adding("addmv", _mv_of, ((3,), (3, 5), (5,)))
addr = _adding("addr", _outer_of, ((3, 4), (3,), (4,)))
baddbmm = _adding("baddbmm", _bmm_of, ((2, 3, 4), (2, 3, 5), (2, 5, 4)))
addbmm = _adding("addbmm", _sum_bmm_of, ((3, 4), (2, 3, 5), (2, 5, 4)))


# ---------------------------------------------------------------- covariance
def _weights_checked(name: str, what: str, weights, count: int):
    if weights is not None and tuple(weights.shape) != (count,):
        raise ShapeError(
            f"[{name}] expected {what} of shape ({count},), one per observation, got {tuple(weights.shape)}"
        )


def _cov(correction, x, fweights, aweights):
    """Covariances of variables (rows of x) over observations (columns), divided by their number minus `correction`.

    fweights: how often each observation counts (ints); aweights: weights of observations.
    """
    if x.ndim > 2:
        raise ShapeError(f"[cov] expected x of at most 2 axes, got shape {tuple(x.shape)}")
    if x.dtype.kind in "biu":
        x = cast(x, dt.DEFAULT_FLOAT)
    single = x.ndim < 2 or x.shape[0] == 1
    rows = reshape(x, (1, x.size)) if x.ndim < 2 else x
    count = rows.shape[1]
    _weights_checked("cov", "fweights", fweights, count)
    _weights_checked("cov", "aweights", aweights, count)
    if fweights is not None and fweights.dtype.kind not in "iu":
        raise DTypeError(f"[cov] expected integer fweights, got {fweights.dtype}")
    weights = None if fweights is None else cast(fweights, dt.real_of(x.dtype))
    if aweights is not None:
        own = cast(aweights, dt.real_of(x.dtype))
        weights = own if weights is None else weights * own
    if weights is None:
        centred = rows - multiply(sum_(rows, 1, True), 1.0 / count if count else float("nan"))
        scaled = centred
        rest = max(float(count) - correction, 0.0)
        share = 1.0 / rest if rest else float("inf")
    else:
        total = sum_(weights)
        centred = rows - sum_(rows * weights, 1, True) / total
        scaled = centred * weights
        rest = total
        if correction:
            rest = (
                total
                - correction * (total if aweights is None else sum_(weights * cast(aweights, total.dtype))) / total
            )
        share = 1.0 / rest
    turned = permute_dims(scaled, (1, 0))
    result = multiply(product(centred, conj(turned) if turned.dtype.kind == "c" else turned), share)
    return reshape(result, ()) if single else result


cov = composite(
    "cov", 3, in_float32(_cov), attributes=lambda correction=1: float(correction), names=("x", "fweights", "aweights"),
    reference=_REFERENCES + "cov",
    samples=Samples(((-2, 2), "class 4", (0.5, 2)), arguments=(((), {}), ((0,), {})), shapes=(((3, 6), (6,), (6,)),)),
)  # fmt: skip


def _corrcoef(attrs, x):
    """Correlation coefficients of variables (rows of x) over observations (columns)."""
    covariance = _cov(1.0, x, None, None)
    if covariance.ndim == 0:
        return covariance / covariance
    spread = cast(diagonal(covariance), dt.real_of(covariance.dtype)) ** 0.5
    return covariance / reshape(spread, (spread.size, 1)) / spread


corrcoef = composite("corrcoef", 1, in_float32(_corrcoef), names=("x",), reference="numpy.corrcoef",
                     samples=Samples(((-2, 2),), shapes=(((3, 6),),)))  # fmt: skip

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "corrcoef", "cov", "dot", "einsum", "inner", "kron", "mm", "mv",
    "outer", "tensordot", "vdot",
]  # fmt: skip
