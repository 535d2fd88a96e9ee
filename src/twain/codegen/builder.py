"""Writes LLVM IR as text: values, blocks, counted loops with carried values, vector loads and stores.

Types are LLVM's spellings ("float", "i64", "<8 x float>"); values are register names or literals. One `Module` holds
several functions with the kernel signature of the plan executor:
`void name(ptr buffers, ptr params, i64 begin, i64 end)`.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager

from ..base.dtypes import DType

KERNEL_ARGUMENTS = (("ptr", "buffers"), ("ptr", "params"), ("i64", "begin"), ("i64", "end"))


def storage_type(dtype: DType) -> str:
    """LLVM type of one element in memory (bool is i8, bfloat16 and float16 are i16; complex is stored as two components)."""
    if dtype.kind == "f":
        return {2: "i16", 4: "float", 8: "double"}[dtype.itemsize]
    if dtype.kind == "c":
        return {8: "float", 16: "double"}[dtype.itemsize]
    return f"i{8 * dtype.itemsize}"


def vector(element: str, lanes: int) -> str:
    """`element` itself for one lane."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


def float_literal(value: float, element: str) -> str:
    """LLVM writes float constants as the hex of the double with the same value."""
    if element == "float":
        value = float_round(value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def float_round(value: float) -> float:
    """`value` rounded to float32 (overflow gives infinity)."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def literal(value: object, element: str, lanes: int = 1) -> str:
    """A constant of vector(element, lanes), splat over the lanes."""
    if element in ("float", "double"):
        one = float_literal(float(value), element)
    elif element == "i1":
        one = "true" if value else "false"
    else:
        one = str(int(value))
    return one if lanes == 1 else f"splat ({element} {one})"


class Loop:
    """A counted loop under construction: `i` its index, `values` the carried registers, `next` sets what they become."""

    __slots__ = ("i", "new", "results", "values")

    def next(self, *new: str) -> None:
        self.new = list(new)


class Module:
    """Declarations, constants and finished functions of one LLVM module."""

    def __init__(self):
        self.declarations: set[str] = set()
        self.functions: list[str] = []
        self.globals: dict[str, str] = {}
        self.helpers: set[str] = set()  # names of internal functions that several kernels share

    def constant(self, type_: str, text: str, align: int = 64) -> str:
        """A private constant in memory; equal ones are shared. Returns its name (a ptr)."""
        key = f"private unnamed_addr constant {type_} {text}, align {align}"
        if key not in self.globals:
            self.globals[key] = f"@c{len(self.globals)}"
        return self.globals[key]

    def text(self) -> str:
        constants = [f"{name} = {definition}" for definition, name in self.globals.items()]
        return "\n".join(constants + sorted(self.declarations) + self.functions) + "\n!0 = !{}\n"


class Builder:
    """One function. Emission is linear; `block` is the label being written (for phi nodes)."""

    def __init__(
        self, module: Module, name: str, arguments=KERNEL_ARGUMENTS, attributes: str = "", result: str = "void"
    ):
        self.module = module
        self.name = name
        self.arguments = arguments
        self.attributes = attributes
        self.result = result
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0
        self._entry: list[str] = []  # allocas and values wanted at function entry

    # -- raw emission
    def fresh(self) -> str:
        self._count += 1
        return f"%v{self._count}"  # a name may not begin with a digit

    def value(self, text: str) -> str:
        """Emit `%n = text`, return %n."""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append("  " + text)

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def new_label(self, hint: str = "b") -> str:
        self._count += 1
        return f"{hint}{self._count}"

    def branch(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch_if(self, condition: str, yes: str, no: str) -> None:
        self.do(f"br i1 {condition}, label %{yes}, label %{no}")

    def call(self, result: str, name: str, *arguments: tuple[str, str]) -> str:
        """Call a (declared on the fly) function: arguments are (type, value); returns the register ('' for void)."""
        types = ", ".join(a[0].split(" ")[0] if a[0].startswith("ptr ") else a[0] for a in arguments)
        self.module.declarations.add(f"declare {result} @{name}({types})")
        text = f"call {result} @{name}({', '.join(f'{t} {v}' for t, v in arguments)})"
        if result == "void":
            self.do(text)
            return ""
        return self.value(text)

    # -- integers (i64 unless told)
    def add(self, a, b, type_: str = "i64") -> str:
        return str(a) if b == 0 or b == "0" else str(b) if a == 0 or a == "0" else self.value(f"add {type_} {a}, {b}")

    def sub(self, a, b, type_: str = "i64") -> str:
        return str(a) if b == 0 or b == "0" else self.value(f"sub {type_} {a}, {b}")

    def mul(self, a, b, type_: str = "i64") -> str:
        if str(a) == "1":
            return str(b)
        if str(b) == "1":
            return str(a)
        if str(a) == "0" or str(b) == "0":
            return "0"
        return self.value(f"mul {type_} {a}, {b}")

    def udiv(self, a, b) -> str:
        return self.value(f"udiv i64 {a}, {b}")

    def urem(self, a, b) -> str:
        return self.value(f"urem i64 {a}, {b}")

    def min(self, a, b) -> str:
        return self.call("i64", "llvm.smin.i64", ("i64", str(a)), ("i64", str(b)))

    def max(self, a, b) -> str:
        return self.call("i64", "llvm.smax.i64", ("i64", str(a)), ("i64", str(b)))

    def compare(self, predicate: str, a, b, type_: str = "i64") -> str:
        """icmp: predicate such as slt, eq, ult."""
        return self.value(f"icmp {predicate} {type_} {a}, {b}")

    def select(self, condition: str, type_: str, a, b) -> str:
        return self.value(f"select i1 {condition}, {type_} {a}, {type_} {b}")

    # -- memory
    def parameter(self, i) -> str:
        """The i-th int64 of params."""
        return self.value(f"load i64, ptr {self.offset('%params', i, 'i64')}, align 8, !invariant.load !0")

    def buffer(self, i) -> str:
        """The i-th buffer's base pointer."""
        return self.value(f"load ptr, ptr {self.offset('%buffers', i, 'ptr')}, align 8, !invariant.load !0")

    def offset(self, base: str, i, element: str) -> str:
        """base + i elements."""
        if str(i) == "0":
            return base
        return self.value(f"getelementptr inbounds {element}, ptr {base}, i64 {i}")

    def load(self, type_: str, pointer: str, align: int = 1) -> str:
        return self.value(f"load {type_}, ptr {pointer}, align {align}")

    def store(self, type_: str, value: str, pointer: str, align: int = 1) -> None:
        self.do(f"store {type_} {value}, ptr {pointer}, align {align}")

    def prefetch(self, pointer: str, level: int = 3) -> None:
        """Bring a line near, to be read: level 3 into L1, 2 into L2. Any address will do."""
        self.call("void", "llvm.prefetch.p0", ("ptr", pointer), ("i32", "0"), ("i32", str(level)), ("i32", "1"))

    def lane_mask(self, count: str, lanes: int) -> str:
        """<lanes x i1>: true in the first `count` (i64) lanes."""
        wide = self.splat(self.value(f"trunc i64 {count} to i32"), "i32", lanes)
        steps = "<" + ", ".join(f"i32 {i}" for i in range(lanes)) + ">"
        return self.value(f"icmp slt <{lanes} x i32> {steps}, {wide}")

    def masked_load(self, element: str, lanes: int, pointer: str, mask: str, align: int = 1) -> str:
        """Lanes outside the mask are zero and not touched.

        Masked accesses are written in the older form, alignment as an operand: newer LLVMs read it, older only it.
        """
        v = vector(element, lanes)
        name = f"llvm.masked.load.{_mangle(v)}.p0"
        self.module.declarations.add(f"declare {v} @{name}(ptr, i32, <{lanes} x i1>, {v})")
        return self.value(f"call {v} @{name}(ptr {pointer}, i32 {align}, <{lanes} x i1> {mask}, {v} zeroinitializer)")

    def masked_store(self, element: str, lanes: int, value: str, pointer: str, mask: str, align: int = 1) -> None:
        v = vector(element, lanes)
        name = f"llvm.masked.store.{_mangle(v)}.p0"
        self.module.declarations.add(f"declare void @{name}({v}, ptr, i32, <{lanes} x i1>)")
        self.do(f"call void @{name}({v} {value}, ptr {pointer}, i32 {align}, <{lanes} x i1> {mask})")

    def gather(self, element: str, lanes: int, addresses: str, mask: str | None = None, align: int = 1) -> str:
        """One element from each of <lanes x ptr> addresses; lanes outside the mask are zero and not touched."""
        v, ptrs, bits = vector(element, lanes), vector("ptr", lanes), vector("i1", lanes)
        name = f"llvm.masked.gather.{_mangle(v)}.v{lanes}p0"
        self.module.declarations.add(f"declare {v} @{name}({ptrs}, i32, {bits}, {v})")
        mask = mask or "splat (i1 true)"
        return self.value(f"call {v} @{name}({ptrs} {addresses}, i32 {align}, {bits} {mask}, {v} zeroinitializer)")

    def scatter(
        self, element: str, lanes: int, value: str, addresses: str, mask: str | None = None, align: int = 1
    ) -> None:
        """Lane k of value to address k, in order."""
        v, ptrs, bits = vector(element, lanes), vector("ptr", lanes), vector("i1", lanes)
        name = f"llvm.masked.scatter.{_mangle(v)}.v{lanes}p0"
        self.module.declarations.add(f"declare void @{name}({v}, {ptrs}, i32, {bits})")
        mask = mask or "splat (i1 true)"
        self.do(f"call void @{name}({v} {value}, {ptrs} {addresses}, i32 {align}, {bits} {mask})")

    def alloca(self, type_: str, count: int = 1, align: int = 64) -> str:
        """Stack memory, reserved once at function entry."""
        name = self.fresh()
        self._entry.append(f"  {name} = alloca {type_}, i64 {count}, align {align}")
        return name

    # -- vectors
    def splat(self, scalar: str, element: str, lanes: int) -> str:
        if lanes == 1:
            return scalar
        v = vector(element, lanes)
        one = self.value(f"insertelement {v} poison, {element} {scalar}, i32 0")
        return self.value(f"shufflevector {v} {one}, {v} poison, <{lanes} x i32> zeroinitializer")

    def any_lane(self, mask: str, lanes: int) -> str:
        """i1: whether any of <lanes x i1> is true."""
        if lanes == 1:
            return mask
        return self.call("i1", f"llvm.vector.reduce.or.v{lanes}i1", (vector("i1", lanes), mask))

    def intrinsic(self, name: str, type_: str, *values: str) -> str:
        """llvm.<name>.<type> with all arguments and the result of `type_`."""
        return self.call(type_, f"llvm.{name}.{_mangle(type_)}", *[(type_, v) for v in values])

    def fma(self, a: str, b: str, c: str, type_: str) -> str:
        return self.intrinsic("fma", type_, a, b, c)

    # -- control
    @contextmanager
    def loop(self, start, end, step=1, carried=(), hint: str = "loop"):
        """for (i = start; i < end; i += step), signed. `carried` is [(type, initial value)].

        Yields a Loop; call `loop.next(...)` in the body when there are carried values. After the block,
        `loop.results` are the carried values at exit.
        """
        head, body, done = self.new_label(hint), self.new_label(hint + "_body"), self.new_label(hint + "_end")
        before = self.block
        self.branch(head)
        self.label(head)
        loop = Loop()
        loop.i = self.fresh()
        loop.values = [self.fresh() for _ in carried]
        loop.new = list(loop.values)
        patch = len(self.lines)
        self.lines.extend([""] * (1 + len(carried)))
        self.branch_if(self.compare("slt", loop.i, end), body, done)
        self.label(body)
        yield loop
        following = self.value(f"add nsw i64 {loop.i}, {step}")
        latch = self.block
        self.branch(head)
        self.lines[patch] = f"  {loop.i} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]"
        for k, (type_, initial) in enumerate(carried):
            self.lines[patch + 1 + k] = (
                f"  {loop.values[k]} = phi {type_} [ {initial}, %{before} ], [ {loop.new[k]}, %{latch} ]"
            )
        loop.results = loop.values
        self.label(done)

    @contextmanager
    def when(self, condition: str, hint: str = "if"):
        """Run the block only if `condition` (i1)."""
        yes, done = self.new_label(hint), self.new_label(hint + "_end")
        self.branch_if(condition, yes, done)
        self.label(yes)
        yield
        self.branch(done)
        self.label(done)

    def finish(self, value: str | None = None) -> str:
        """Close the function and add it to the module; returns its name."""
        self.do("ret void" if value is None else f"ret {self.result} {value}")
        args = ", ".join(f"{t} noalias readonly %{n}" if t == "ptr" and self.arguments is KERNEL_ARGUMENTS else f"{t} %{n}"
                         for t, n in self.arguments)  # fmt: skip
        body = "\n".join([*self._entry, *self.lines])
        linkage = "" if self.arguments is KERNEL_ARGUMENTS else "internal "
        self.module.functions.append(
            f"define {linkage}{self.result} @{self.name}({args}) nounwind {self.attributes} {{\nentry:\n{body}\n}}"
        )
        return self.name


def _mangle(type_: str) -> str:
    """The suffix of an overloaded intrinsic: <8 x float> -> v8f32."""
    if type_.startswith("<"):
        count, _, element = type_[1:-1].partition(" x ")
        return f"v{count}{_mangle(element)}"
    return {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}.get(type_, type_)
