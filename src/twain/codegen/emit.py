"""Turns expression DAGs (expr.py) into vector code.

Values are LLVM registers: vectors of the dtype's compute element (`value_type`), a plain scalar for one lane. bool is
`i1`; bfloat16 and float16 are their bits in `i16` (only casts look inside); a complex value is a tuple (real,
imaginary).

Integer rules, equal on all targets: arithmetic wraps; x // 0 and x % 0 are 0; floordiv and rem round as in Python; a
shift by the width or more (or by a negative number) gives 0, or the sign for a right shift of a signed value; float to
int truncates and saturates, NaN gives 0; integer power of a negative exponent is 0 unless the base is 1 or -1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import VerificationError
from . import vmath
from .builder import Builder, float_round, vector
from .convert import convert
from .expr import Expr, free_variables, walk
from .integer import INTEGER
from .targets import Target
from .vmath_base import Math, V
from .vmath_complex import COMPLEX

Value = "str | tuple[str, str]"


def value_type(dtype: DType) -> str:
    """The LLVM element type in which values of `dtype` are held (a complex dtype: of each part)."""
    if dtype.kind == "b":
        return "i1"
    if dtype.kind == "f":
        return {2: "i16", 4: "float", 8: "double"}[dtype.itemsize]
    if dtype.kind == "c":
        return {8: "float", 16: "double"}[dtype.itemsize]
    return f"i{dtype.bits}"


def bits16(value: float, dtype: DType) -> int:
    """The bits of a float as bfloat16 or float16, rounded to nearest even."""
    if dtype is dt.float16:
        try:
            return struct.unpack("<H", struct.pack("<e", value))[0]
        except OverflowError:
            return 0x7C00 if value > 0 else 0xFC00
    if value != value:
        return 0x7FC0
    single = float_round(value)
    bits = struct.unpack("<I", struct.pack("<f", single))[0]
    if single != value and abs(value) != float("inf") and abs(single) != float("inf"):
        # round to odd first, so that rounding twice equals rounding once
        bits = (bits - (abs(single) > abs(value))) | 1
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


class ExprEmitter:
    """Emits expressions into `builder`, `lanes` elements at a time. Cheap to make; holds no state between calls."""

    def __init__(self, builder: Builder, lanes: int, target: Target):
        self.builder = builder
        self.lanes = lanes
        self.target = target
        self.math = Math(builder, lanes, target)

    # -- expressions
    def emit(self, roots: Iterable[Expr], leaves: dict[Expr, Value]) -> list[Value]:
        """The values of `roots`. `leaves` gives the values of loads, indices and reduced results (and of any
        other expression that should not be computed again)."""
        roots = list(roots)
        wrap = self._wrap
        known: dict[Expr, V | tuple[V, V]] = {e: wrap(v, e.dtype) for e, v in leaves.items()}
        order = walk(roots, known)
        inside = free_variables(order)
        for e in order:
            if e in inside:
                continue  # part of a loop's body
            known[e] = (
                self._loop(e, known, order, inside) if e.op == "loop" else self._one(e, [known[a] for a in e.args])
            )
        return [_unwrap(known[r]) for r in roots]

    def _loop(self, e: Expr, known: dict, order: list, inside: dict) -> list:
        """The state at the end of a loop; what doesn't depend on its variables is known already."""
        b, m, count = self.builder, self.math, len(e.args) // 2
        depth, limit = e.value
        types = [vector(v.t, self.lanes) for part in e.args[:count] for v in _parts(known[part])]
        initial = [v for part in e.args[:count] for v in _parts(known[part])]
        mask = vector("i1", self.lanes)
        everywhere = m.const(True, "i1").r
        head, body, done = b.new_label("while"), b.new_label("while_body"), b.new_label("while_end")
        before = b.block
        b.branch(head)
        b.label(head)
        turn, active = b.fresh(), b.fresh()
        names = [b.fresh() for _ in initial]
        patch = len(b.lines)
        b.lines.extend([""] * (2 + len(names)))
        scope = dict(known)
        state, k = [], 0
        for part in e.args[:count]:
            old = known[part]
            values = [V(m, names[k + i], v.t) for i, v in enumerate(_parts(old))]
            k += len(values)
            state.append(tuple(values) if type(old) is tuple else values[0])
        for position, value in enumerate(state):
            scope[Expr("variable", e.args[position].dtype, (), (depth, position))] = value
        keep, new = e.args[count], e.args[count + 1 :]
        wanted = set(walk([keep, *new], scope))
        todo = [x for x in order if x in wanted and x not in scope and max(inside[x]) <= depth]  # not an inner loop's
        first = set(walk([keep], scope))
        for x in todo:
            if x in first:
                self._inner(x, scope, order, inside)
        going = V(m, active, "i1") & scope[keep]
        some = b.any_lane(going.r, self.lanes)
        b.branch_if(b.value(f"and i1 {some}, {b.compare('ult', turn, limit, 'i32')}"), body, done)
        b.label(body)
        for x in todo:
            if x not in scope:
                self._inner(x, scope, order, inside)
        following = [
            m.select(going, fresh, old).r
            for n, value in zip(new, state)
            for fresh, old in zip(_parts(scope[n]), _parts(value))
        ]
        turned = b.value(f"add nuw i32 {turn}, 1")
        latch = b.block
        b.branch(head)
        b.lines[patch] = f"  {turn} = phi i32 [ 0, %{before} ], [ {turned}, %{latch} ]"
        b.lines[patch + 1] = f"  {active} = phi {mask} [ {everywhere}, %{before} ], [ {going.r}, %{latch} ]"
        for i, (name, type_, value, fresh) in enumerate(zip(names, types, initial, following)):
            b.lines[patch + 2 + i] = f"  {name} = phi {type_} [ {value.r}, %{before} ], [ {fresh}, %{latch} ]"
        b.label(done)
        return state

    def _inner(self, x: Expr, scope: dict, order: list, inside: dict) -> None:
        """Emit one expression of a loop's body."""
        scope[x] = self._loop(x, scope, order, inside) if x.op == "loop" else self._one(x, [scope[a] for a in x.args])

    def _wrap(self, value: Value, dtype: DType) -> V | tuple[V, V]:
        t = value_type(dtype)
        if dtype.kind == "c":
            return V(self.math, value[0], t), V(self.math, value[1], t)
        return V(self.math, value, t)

    def constant(self, value: object, dtype: DType) -> Value:
        """A literal of `dtype` in every lane."""
        return _unwrap(self._constant(value, dtype))

    def _constant(self, value: object, dtype: DType) -> V | tuple[V, V]:
        t = value_type(dtype)
        if dtype.kind == "c":
            return self.math.const(complex(value).real, t), self.math.const(complex(value).imag, t)
        if dtype is dt.bfloat16 or dtype is dt.float16:
            return self.math.const(bits16(float(value), dtype), t)
        return self.math.const(value, t)

    def _one(self, e: Expr, args: list) -> V | tuple[V, V]:
        op, dtype, m = e.op, e.dtype, self.math
        if op == "const":
            return self._constant(e.value, dtype)
        if op in ("load", "index", "reduced"):
            raise VerificationError(f"[emit] expected a value for the leaf {op} {e.value!r}, got none")
        if op == "result":
            return args[0][e.value]
        if op == "cast":
            return convert(m, args[0], e.args[0].dtype, dtype)
        if op == "select":
            condition, a, b = args
            if dtype.kind == "c":
                return m.select(condition, a[0], b[0]), m.select(condition, a[1], b[1])
            return m.select(condition, a, b)
        if op == "complex":
            return args[0], args[1]
        source = e.args[0].dtype
        if op == "bitcast":
            return self._bitcast(args[0], source, dtype)
        if op == "real" or op == "imag":
            if source.kind != "c":
                return args[0] if op == "real" else m.const(0, args[0].t)
            return args[0][0 if op == "real" else 1]
        if source.kind == "c":
            rule = COMPLEX.get(op)
        elif source.kind == "f":
            rule = FLOAT.get(op)
        elif source.kind == "b":
            rule = BOOL.get(op)
        else:
            rule = INTEGER.get(op)
        if rule is None:
            raise VerificationError(f"[emit] expected an operation defined for {source}, got {op}")
        return rule(m, *args, source.kind == "i") if source.kind in "iu" else rule(m, *args)

    def _bitcast(self, x: V, source: DType, dtype: DType) -> V:
        to = value_type(dtype)
        if x.t == to:
            return x
        if x.t == "i1":
            return self.math.convert("zext", x, to)
        if to == "i1":
            return x.ne(0)
        return self.math.convert("bitcast", x, to)

    # -- memory
    def load_element(self, pointer: str, dtype: DType, mask: str | None = None, stride: int | str = 1) -> Value:
        """The elements at pointer + lane * stride (in elements; 0: one element in every lane).

        Lanes outside `mask` (`<lanes x i1>`) are not touched and hold zero (with stride 0 the one element is read).
        """
        kind = "i8" if dtype.kind == "b" else value_type(dtype)
        if dtype.kind == "c":
            return self._load_complex(pointer, kind, mask, stride)
        value = self._load(kind, pointer, mask, stride)
        if kind == "i8" and dtype.kind == "b":
            return self.builder.value(f"icmp ne {vector('i8', self.lanes)} {value}, zeroinitializer".replace(
                "zeroinitializer", "0" if self.lanes == 1 else "zeroinitializer"))  # fmt: skip
        return value

    def _load(self, element: str, pointer: str, mask: str | None, stride: int | str) -> str:
        b, lanes = self.builder, self.lanes
        align = _align(element)
        if stride == 0 or stride == "0":
            return b.splat(b.load(element, pointer, align), element, lanes)
        if lanes == 1:
            if mask is None:
                return b.load(element, pointer, align)
            before = b.block
            with b.when(mask):
                value = b.load(element, pointer, align)
                inside = b.block
            zero = self.math.const(0, element).r
            return b.value(f"phi {element} [ {zero}, %{before} ], [ {value}, %{inside} ]")
        if stride == 1 or stride == "1":
            if mask is None:
                return b.load(vector(element, lanes), pointer, align)
            return b.masked_load(element, lanes, pointer, mask, align)
        return b.gather(element, lanes, self._addresses(pointer, element, stride), mask, align)

    def _load_complex(self, pointer: str, part: str, mask: str | None, stride: int | str) -> tuple[str, str]:
        b, lanes = self.builder, self.lanes
        if lanes == 1 or stride not in (1, "1"):
            imaginary = b.offset(pointer, 1, part)
            step = stride if stride in (0, "0") else b.mul(stride, 2) if isinstance(stride, str) else 2 * stride
            return self._load(part, pointer, mask, step), self._load(part, imaginary, mask, step)
        double = vector(part, 2 * lanes)
        if mask is None:
            both = b.load(double, pointer, _align(part))
        else:
            both = b.masked_load(part, 2 * lanes, pointer, self._twice(mask), _align(part))
        return tuple(
            b.value(f"shufflevector {double} {both}, {double} poison, {_indices(range(k, 2 * lanes, 2))}")
            for k in (0, 1)
        )

    def store_element(self, value: Value, pointer: str, dtype: DType, mask: str | None = None,
                      stride: int | str = 1) -> None:  # fmt: skip
        """Write the lanes (those in `mask`) to pointer + lane * stride (in elements, not 0 for several lanes)."""
        b, lanes = self.builder, self.lanes
        if dtype.kind == "c":
            self._store_complex(value, pointer, value_type(dtype), mask, stride)
        elif dtype.kind == "b":
            byte = b.value(f"zext {vector('i1', lanes)} {value} to {vector('i8', lanes)}")
            self._store("i8", byte, pointer, mask, stride)
        else:
            self._store(value_type(dtype), value, pointer, mask, stride)

    def _store(self, element: str, value: str, pointer: str, mask: str | None, stride: int | str) -> None:
        b, lanes = self.builder, self.lanes
        align = _align(element)
        if lanes == 1:
            if mask is None:
                b.store(element, value, pointer, align)
            else:
                with b.when(mask):
                    b.store(element, value, pointer, align)
        elif stride == 1 or stride == "1":
            if mask is None:
                b.store(vector(element, lanes), value, pointer, align)
            else:
                b.masked_store(element, lanes, value, pointer, mask, align)
        else:
            b.scatter(element, lanes, value, self._addresses(pointer, element, stride), mask, align)

    def _store_complex(
        self, value: tuple[str, str], pointer: str, part: str, mask: str | None, stride: int | str
    ) -> None:
        b, lanes = self.builder, self.lanes
        if lanes == 1 or stride not in (1, "1"):
            step = b.mul(stride, 2) if isinstance(stride, str) else 2 * stride
            self._store(part, value[0], pointer, mask, step)
            self._store(part, value[1], b.offset(pointer, 1, part), mask, step)
            return
        v = vector(part, lanes)
        order = _indices([k + half * lanes for k in range(lanes) for half in (0, 1)])
        both = b.value(f"shufflevector {v} {value[0]}, {v} {value[1]}, {order}")
        if mask is None:
            b.store(vector(part, 2 * lanes), both, pointer, _align(part))
        else:
            b.masked_store(part, 2 * lanes, both, pointer, self._twice(mask), _align(part))

    def _twice(self, mask: str) -> str:
        """Every lane of a mask twice: for the two parts of complex elements."""
        v = vector("i1", self.lanes)
        order = _indices([k for k in range(self.lanes) for _ in (0, 1)])
        return self.builder.value(f"shufflevector {v} {mask}, {v} poison, {order}")

    def _addresses(self, pointer: str, element: str, stride: int | str) -> str:
        """<lanes x ptr>: pointer + lane * stride."""
        b, lanes = self.builder, self.lanes
        wide = vector("i64", lanes)
        steps = "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">"
        offsets = b.value(f"mul {wide} {b.splat(str(stride), 'i64', lanes)}, {steps}")
        return b.value(f"getelementptr {element}, ptr {pointer}, {wide} {offsets}")


def _unwrap(value: V | tuple[V, V]) -> Value:
    return (value[0].r, value[1].r) if type(value) is tuple else value.r


def _parts(value: V | tuple[V, V]) -> tuple:
    return value if type(value) is tuple else (value,)


def _align(element: str) -> int:
    return {"i8": 1, "i16": 2, "i32": 4, "float": 4}.get(element, 8)


def _indices(order: Iterable[int]) -> str:
    numbers = list(order)
    return f"<{len(numbers)} x i32> <" + ", ".join(f"i32 {k}" for k in numbers) + ">"


# -- rules per kind of operand: functions of (math, values...)
def _operator(name: str) -> Callable:
    def rule(m: Math, *args: V) -> V:
        return getattr(args[0], name)(*args[1:])

    return rule


def minimum(m: Math, a: V, b: V) -> V:
    """The smaller; NaN if either is."""
    if m.target.has_maximum:
        return m.intrinsic("minimum", a, b)
    return m.select(a.is_nan(), a, m.select(a < b, a, b))


def maximum(m: Math, a: V, b: V) -> V:
    """The larger; NaN if either is."""
    if m.target.has_maximum:
        return m.intrinsic("maximum", a, b)
    return m.select(a.is_nan(), a, m.select(a > b, a, b))


def float_sign(m: Math, x: V) -> V:
    """-1, 0 or 1; NaN stays; -0 gives 0."""
    return m.select(x > 0.0, 1.0, m.select(x < 0.0, -1.0, x + 0.0))


_COMPARE = {"lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__", "eq": "eq", "ne": "ne"}

FLOAT: dict[str, Callable] = {
    **{op: _operator(f"__{op}__") for op in ("add", "sub", "mul", "neg")},
    **{op: _operator(name) for op, name in _COMPARE.items()},
    **vmath.FUNCTIONS,
    "div": _operator("__truediv__"),
    "abs": _operator("abs"),
    "conj": lambda m, x: x,
    "min": minimum,
    "max": maximum,
    "sign": float_sign,
    "fma": Math.exact_fma,
}

# In boolean algebra sum is or, product is and; false < true.
BOOL: dict[str, Callable] = {
    "and": _operator("__and__"),
    "or": _operator("__or__"),
    "xor": _operator("__xor__"),
    "not": _operator("__invert__"),
    "add": _operator("__or__"),
    "mul": _operator("__and__"),
    "max": _operator("__or__"),
    "min": _operator("__and__"),
    "eq": lambda m, a, b: ~(a ^ b),
    "ne": _operator("__xor__"),
    "lt": lambda m, a, b: ~a & b,
    "le": lambda m, a, b: ~a | b,
    "gt": lambda m, a, b: a & ~b,
    "ge": lambda m, a, b: a | ~b,
    "abs": lambda m, x: x,
    "sign": lambda m, x: x,
}
