"""The loop dialect's scalar expressions: what a kernel computes at one index.

An `Expr` is an immutable DAG node. Kernel rules of ops build it (`lambda k, x: x * k.exp(-x)`, `k` is this module), the
emitters turn it into vector code. Types are honest: both operands of arithmetic have the expression's dtype, comparisons
give bool, and bfloat16/float16 values exist only as results of `load` and `cast` (arithmetic happens in float32).
`text(roots)` is the structural text: equal texts mean equal code, which is what the kernel caches go by.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import VerificationError

ARITHMETIC = frozenset("add sub mul div floordiv rem pow min max atan2 hypot copysign nextafter gcd".split())
BITWISE = frozenset("and or xor shl shr".split())
COMPARE = frozenset("eq ne lt le gt ge".split())
UNARY_REAL = frozenset(
    "neg abs sign sqrt rsqrt exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
    "erf erfc floor ceil rint trunc".split()
)
# Special functions (vmath_gamma.py, vmath_bessel.py) of one, two and three values.
SPECIAL_UNARY = frozenset(
    "lgamma digamma i0 i0e i1 i1e k0 k0e k1 k1e j0 j1 y0 y1 airy_ai erfinv ndtr ndtri erfcx log_ndtr".split()
)
SPECIAL_BINARY = frozenset(
    "zeta gammainc gammaincc chebyshev_t chebyshev_u chebyshev_v chebyshev_w shifted_chebyshev_t shifted_chebyshev_u "
    "shifted_chebyshev_v shifted_chebyshev_w hermite_h hermite_he laguerre legendre".split()
)
UNARY_REAL |= SPECIAL_UNARY
ARITHMETIC |= SPECIAL_BINARY
OTHER = frozenset(
    "load gather const index reduced not select cast bitcast fma real imag conj complex mulhi variable loop result".split()
)
ALL = ARITHMETIC | BITWISE | COMPARE | UNARY_REAL | OTHER


_INTERNED: dict[tuple, Expr] = {}
_INTERN_LIMIT = 200_000


class Expr:
    """One scalar operation. `value` holds what is static: the operand number of a load, a constant, an axis.

    Equal expressions are one object (hash-consed), so identity is equality and common subexpressions are shared.
    """

    __slots__ = ("args", "dtype", "op", "serial", "value")
    _count = 0

    def __new__(cls, op: str, dtype: DType, args: tuple = (), value: object = None):
        # repr tells -0.0 from 0.0 and makes NaN equal to itself
        key = (op, dtype.code, value if value is None or type(value) is int else repr(value), *[a.serial for a in args])
        self = _INTERNED.get(key)
        if self is None:
            if len(_INTERNED) > _INTERN_LIMIT:
                _INTERNED.clear()
            self = object.__new__(cls)
            self.op = op
            self.dtype = dtype
            self.args = args
            self.value = value
            Expr._count += 1
            self.serial = Expr._count
            _INTERNED[key] = self
        return self

    def __repr__(self) -> str:
        return text([self])

    # Operators take Python numbers too: they become constants of this expression's dtype.
    def __add__(self, other):
        return _binary("add", self, other)

    def __radd__(self, other):
        return _binary("add", other, self)

    def __sub__(self, other):
        return _binary("sub", self, other)

    def __rsub__(self, other):
        return _binary("sub", other, self)

    def __mul__(self, other):
        return _binary("mul", self, other)

    def __rmul__(self, other):
        return _binary("mul", other, self)

    def __truediv__(self, other):
        return _binary("div", self, other)

    def __rtruediv__(self, other):
        return _binary("div", other, self)

    def __and__(self, other):
        return _binary("and", self, other)

    def __or__(self, other):
        return _binary("or", self, other)

    def __xor__(self, other):
        return _binary("xor", self, other)

    def __lshift__(self, other):
        return _binary("shl", self, other)

    def __rshift__(self, other):
        return _binary("shr", self, other)

    def __neg__(self):
        return unary("neg", self)

    def __invert__(self):
        return Expr("not", self.dtype, (self,))

    def __lt__(self, other):
        return _compare("lt", self, other)

    def __le__(self, other):
        return _compare("le", self, other)

    def __gt__(self, other):
        return _compare("gt", self, other)

    def __ge__(self, other):
        return _compare("ge", self, other)


def const(value: object, dtype: DType) -> Expr:
    """A constant. The value is stored as Python bool, int, float or complex."""
    kind = dtype.kind
    value = (
        bool(value) if kind == "b" else int(value) if kind in "iu" else float(value) if kind == "f" else complex(value)
    )
    return Expr("const", dtype, (), value)


def load(operand: int, dtype: DType) -> Expr:
    """The element of input operand number `operand` at the current index."""
    return Expr("load", dtype, (), operand)


def gather(operand: int, dtype: DType, at: Expr) -> Expr:
    """The element of input operand number `operand` at element offset `at` (int64), wherever the iteration is."""
    return Expr("gather", dtype, (at,), operand)


def reduced(number: int, dtype: DType) -> Expr:
    """The result of reduction `number` of the same kernel (row kernels: constant along the row)."""
    return Expr("reduced", dtype, (), number)


def lift(x: object, like: Expr) -> Expr:
    return x if type(x) is Expr else const(x, like.dtype)


def _binary(op: str, a: object, b: object) -> Expr:
    if type(a) is not Expr:
        a = const(a, b.dtype)
    elif type(b) is not Expr:
        b = const(b, a.dtype)
    if a.dtype is not b.dtype:
        raise VerificationError(f"[expr.{op}] expected equal dtypes, got {a.dtype} and {b.dtype}")
    return Expr(op, a.dtype, (a, b))


def _compare(op: str, a: object, b: object) -> Expr:
    if type(a) is not Expr:
        a = const(a, b.dtype)
    elif type(b) is not Expr:
        b = const(b, a.dtype)
    if a.dtype is not b.dtype:
        raise VerificationError(f"[expr.{op}] expected equal dtypes, got {a.dtype} and {b.dtype}")
    return Expr(op, dt.bool_, (a, b))


def unary(op: str, x: Expr) -> Expr:
    return Expr(op, dt.real_of(x.dtype) if op == "abs" else x.dtype, (x,))


def cast(x: Expr, dtype: DType) -> Expr:
    """Value conversion. Float to int truncates; to bool is `!= 0`; bfloat16 rounds to nearest even."""
    return x if x.dtype is dtype else Expr("cast", dtype, (x,))


def bitcast(x: Expr, dtype: DType) -> Expr:
    """The same bits as another dtype of the same size."""
    return x if x.dtype is dtype else Expr("bitcast", dtype, (x,))


def select(condition: Expr, a: object, b: object) -> Expr:
    """a where condition (bool), else b."""
    if type(a) is not Expr:
        a = const(a, b.dtype)
    elif type(b) is not Expr:
        b = const(b, a.dtype)
    return Expr("select", a.dtype, (condition, a, b))


def fma(a: Expr, b: object, c: object) -> Expr:
    """a * b + c, rounded once."""
    return Expr("fma", a.dtype, (a, lift(b, a), lift(c, a)))


def mulhi(a: Expr, b: Expr) -> Expr:
    """High half of the product of two unsigned integers (uint32 or uint64)."""
    return Expr("mulhi", a.dtype, (a, lift(b, a)))


def betainc(a: Expr, b: object, x: object) -> Expr:
    """The regularised incomplete beta function I_x(a, b)."""
    return Expr("betainc", a.dtype, (a, lift(b, a), lift(x, a)))


def eq(a: Expr, b: object) -> Expr:
    return _compare("eq", a, b)


def ne(a: Expr, b: object) -> Expr:
    return _compare("ne", a, b)


def minimum(a: Expr, b: object) -> Expr:
    """The smaller; NaN if either is NaN."""
    return _binary("min", a, b)


def maximum(a: Expr, b: object) -> Expr:
    """The larger; NaN if either is NaN."""
    return _binary("max", a, b)


def complex_(re: Expr, im: Expr) -> Expr:
    """A complex value of its parts."""
    return Expr("complex", dt.complex_of(re.dtype), (re, im))


def real(x: Expr) -> Expr:
    return Expr("real", dt.real_of(x.dtype), (x,))


def imag(x: Expr) -> Expr:
    return Expr("imag", dt.real_of(x.dtype), (x,))


def conj(x: Expr) -> Expr:
    return Expr("conj", x.dtype, (x,))


_open_loops = 0


def loop(initial: tuple, step, limit: int) -> tuple:
    """A loop for each element: while `keep` holds, and at most `limit` times, the state becomes `new`.

    `initial` are the expressions that the state begins with; step(*state) returns (keep, new): a bool and as many
    expressions of the same dtypes. Gives the state at the end. Vector code goes on until no lane is left.

    A loop is an expression whose operands are its initial state, then `keep`, then `new`; the latter two are over
    "variable" leaves, which name the state by the depth of the loop and the position.
    """
    global _open_loops
    depth = _open_loops
    variables = [Expr("variable", e.dtype, (), (depth, k)) for k, e in enumerate(initial)]
    _open_loops += 1
    try:
        keep, new = step(*variables)
    finally:
        _open_loops -= 1
    new = [lift(n, e) for n, e in zip(new, initial)]
    whole = Expr("loop", dt.bool_, (*initial, keep, *new), (depth, limit))
    return tuple(Expr("result", e.dtype, (whole,), k) for k, e in enumerate(initial))


def free_variables(order: list) -> dict:
    """For each expression of a `walk` that is inside of a loop: the depths of the loops whose variables it depends on."""
    found: dict[Expr, frozenset] = {}
    for e in order:
        if e.op == "variable":
            found[e] = frozenset((e.value[0],))
            continue
        depths = frozenset().union(*(found[a] for a in e.args if a in found))
        if e.op == "loop":
            depths -= {e.value[0]}
        if depths:
            found[e] = depths
    return found


def _make_unary(op: str):
    def rule(x: Expr) -> Expr:
        return unary(op, x)

    rule.__name__ = op
    return rule


def _make_binary(op: str):
    def rule(a: Expr, b: object) -> Expr:
        return _binary(op, a, b)

    rule.__name__ = op
    return rule


for _op in UNARY_REAL:
    globals()[_op] = _make_unary(_op)
for _op in ("floordiv", "rem", "pow", "atan2", "hypot", "copysign", "nextafter", "gcd", *SPECIAL_BINARY):
    globals()[_op] = _make_binary(_op)


def walk(roots: list, known: Iterable[Expr] = ()) -> list:
    """All expressions below `roots`, operands first, each one once, without going into those in `known`."""
    order: list[Expr] = []
    seen: set[Expr] = set(known)
    stack = [(r, False) for r in reversed(roots)]
    while stack:
        e, done = stack.pop()
        if done:
            order.append(e)
        elif e not in seen:
            seen.add(e)
            stack.append((e, True))
            stack.extend((a, False) for a in reversed(e.args))
    return order


def text(roots: list) -> str:
    """A stable structural text of the DAG, one numbered line per expression; equal texts mean equal code.

    Kernel caches, also those on disk, go by it.
    """
    numbers: dict[Expr, int] = {}
    lines = []
    for e in walk(roots):
        numbers[e] = len(numbers)
        value = "" if e.value is None else f" {e.value!r}"
        lines.append(f"%{numbers[e]} = {e.op}.{e.dtype.name}{value} " + " ".join(f"%{numbers[a]}" for a in e.args))
    lines.append("-> " + " ".join(f"%{numbers[r]}" for r in roots))
    return "\n".join(lines)


def substitute(roots: list, mapping: dict) -> list:
    """`roots` with sub-expressions replaced: mapping is {Expr: Expr}."""
    memo = dict(mapping)
    for e in walk(roots):
        if e not in memo:
            args = tuple(memo[a] for a in e.args)
            memo[e] = e if args == e.args else Expr(e.op, e.dtype, args, e.value)
    return [memo[r] for r in roots]


def verify(roots: list) -> None:
    """Raise VerificationError unless every expression obeys the dialect's typing rules."""
    for e in walk(roots):
        kinds = [a.dtype for a in e.args]
        same = all(k is e.dtype for k in kinds)
        bad = None
        if e.op not in ALL:
            bad = "unknown operation"
        elif e.op in ARITHMETIC | BITWISE and (len(kinds) != 2 or not same):
            bad = "operands must have the result's dtype"
        elif e.op in COMPARE and (e.dtype is not dt.bool_ or kinds[0] is not kinds[1]):
            bad = "a comparison takes two of one dtype and gives bool"
        elif e.op in BITWISE and e.dtype.kind not in "biu":
            bad = "bitwise on a floating dtype"
        elif e.op in UNARY_REAL and e.op != "abs" and not same:
            bad = "unary keeps its dtype"
        elif e.op == "select" and (kinds[0] is not dt.bool_ or kinds[1] is not e.dtype or kinds[2] is not e.dtype):
            bad = "select takes (bool, T, T)"
        elif e.op == "loop" and (
            kinds[len(kinds) // 2] is not dt.bool_ or kinds[: len(kinds) // 2] != kinds[len(kinds) // 2 + 1 :]
        ):
            bad = "a loop takes its state, a bool and the next state"
        elif e.op == "bitcast" and kinds[0].itemsize != e.dtype.itemsize:
            bad = "bitcast keeps the size"
        elif e.dtype.weak and e.op not in ("load", "reduced"):
            bad = "weak dtypes only come from loads"
        elif e.dtype in (dt.bfloat16, dt.float16) and e.op not in (
            "load",
            "gather",
            "cast",
            "bitcast",
            "select",
            "reduced",
            "const",
        ):
            bad = "half precision computes in float32"
        if bad:
            raise VerificationError(f"[expr] {bad}: {e.op} {e.dtype} of {[str(k) for k in kinds]}")
