"""A tiny framework on the bare core: float32 ops with hand-made programs, for the tests in this folder.

Kernels are made with llvmlite from a few lines of IR each; nothing of twain's Python is used but `_core`.
"""

from __future__ import annotations

import llvmlite.binding as llvm

from twain import _core

FLOAT32, FLOAT64, INT64, BOOL = 11, 12, 4, 0
WEAK_INT, WEAK_FLOAT = 15, 16

ELEMENTWISE = """
define void @{name}(ptr %buffers, ptr %params, i64 %begin, i64 %end) {{
entry:
  %empty = icmp sge i64 %begin, %end
  br i1 %empty, label %done, label %start
start:
  {loads}
  br label %loop
loop:
  %i = phi i64 [ %begin, %start ], [ %next, %loop ]
  {body}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""


def kernel_text(name: str, inputs: int, body: str, weak: tuple = ()) -> str:
    """`body` computes %r from %v0, %v1, ...; inputs in `weak` are one double each."""
    loads, lines = [], []
    for k in range(inputs + 1):
        loads.append(f"%a{k} = getelementptr ptr, ptr %buffers, i64 {k}")
        loads.append(f"%p{k} = load ptr, ptr %a{k}")
    for k in range(inputs):
        if k in weak:
            lines.append(f"%d{k} = load double, ptr %p{k}\n  %v{k} = fptrunc double %d{k} to float")
        else:
            lines.append(f"%e{k} = getelementptr float, ptr %p{k}, i64 %i\n  %v{k} = load float, ptr %e{k}")
    lines.append(body)
    lines.append(f"%e{inputs} = getelementptr float, ptr %p{inputs}, i64 %i\n  store float %r, ptr %e{inputs}")
    return ELEMENTWISE.format(name=name, loads="\n  ".join(loads), body="\n  ".join(lines))


TEXTS = {
    "add": kernel_text("add", 2, "%r = fadd float %v0, %v1"),
    "mul": kernel_text("mul", 2, "%r = fmul float %v0, %v1"),
    "neg": kernel_text("neg", 1, "%r = fneg float %v0"),
    "copy": kernel_text("copy", 1, "%r = fadd float %v0, 0.0"),
    "square": kernel_text("square", 1, "%r = fmul float %v0, %v0"),
    "scale": kernel_text("scale", 2, "%r = fmul float %v0, %v1", weak=(1,)),
    "zero": kernel_text("zero", 1, "%r = fsub float %v0, %v0"),
    "nan": kernel_text("nan", 1, "%z = fsub float %v0, %v0\n  %r = fdiv float %z, %z"),
}


class Kernels:
    """Addresses of the kernels above, compiled once."""

    def __init__(self):
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly("\n".join(TEXTS.values())), machine)
        self.engine.finalize_object()
        self.address = {name: self.engine.get_function_address(name) for name in TEXTS}


COMPILED = Kernels()  # owns the code
KERNELS = COMPILED.address
GRAIN = 1 << 15


def tensor(numbers, shape=None, requires_grad: bool = False):
    """A float32 Tensor."""
    import array

    data = array.array("f", numbers)
    x = _core.from_buffer(_core.meta(FLOAT32, shape if shape is not None else (len(data),)), data)
    return x.requires_grad_() if requires_grad else x


class Record:
    """What one op of the tiny framework is: how to prepare it, and its backward rule."""

    def __init__(self, name, prepare, vjp=None, bind=None, argument_names=None, multiple_results=False):
        self.name = name
        self.prepare = prepare
        self.vjp = vjp
        self.argument_names = argument_names
        self.multiple_results = multiple_results
        self.prepared = 0
        self.bound = 0
        self._bind = bind

    def bind(self, args, kwargs):
        self.bound += 1
        if self._bind is None:
            if args or kwargs:
                raise TypeError(f"[{self.name}] no static arguments expected")
            return None
        return self._bind(*args, **kwargs)


def like(metas):
    """The meta of an elementwise result: that of the first operand that is no Python scalar, row-major."""
    first = next(m for m in metas if m is not None and m.code < 15)
    return _core.meta(first.code, first.shape, None, first.device)


def elementwise(kernel: str, inputs: int, reuse: bool = True):
    def prepare(attrs, metas):
        out = like(metas)
        for m in metas:
            if m is not None and m.code < 15 and m.shape != out.shape:
                raise ValueError(f"[{kernel}] expected equal shapes, got {m.shape} and {out.shape}")
        donors = tuple(i for i, m in enumerate(metas) if m == out) if reuse else ()
        buffers = tuple((i, 0) for i in range(inputs + 1))
        return _core.Program(
            kernel, metas, [(out, -1, 0, donors)], 0, [(KERNELS[kernel], buffers, (), out.size, GRAIN)]
        )

    return prepare


def products(pairs, name="products"):
    """A program of several outputs, output k = product of two inputs (or a sum of two products through the arena).

    Absent operands count as zeros."""

    def prepare(attrs, metas):
        out = like(metas)
        n, arena = len(metas), len(metas) + len(pairs)
        steps = []
        present = next(i for i, m in enumerate(metas) if m is not None)

        def product(a, b, into):
            if metas[a] is None or metas[b] is None:
                return (KERNELS["zero"], ((present, 0), into), (), out.size, GRAIN)
            return (KERNELS["mul"], ((a, 0), (b, 0), into), (), out.size, GRAIN)

        for k, pair in enumerate(pairs):
            if len(pair) == 2:
                steps.append(product(*pair, (n + k, 0)))
            else:
                a, b, c, d = pair
                half = (out.nbytes + 63) // 64 * 64
                steps.append(product(a, b, (arena, 0)))
                steps.append(product(c, d, (arena, half)))
                steps.append((KERNELS["add"], ((arena, 0), (arena, half), (n + k, 0)), (), out.size, GRAIN))
        nbytes = 2 * ((out.nbytes + 63) // 64 * 64) if any(len(p) == 4 for p in pairs) else 0
        return _core.Program(name, metas, [(out, -1, 0, ())] * len(pairs), nbytes, steps)

    return prepare


def mul_vjp(attrs, metas, out_metas, mask):
    # g * b and g * a
    if mask == 1:
        return MUL, None, (1,), (0, -1)
    if mask == 2:
        return MUL, None, (0,), (-1, 0)
    return MUL_BACKWARD, None, (1, 0), (0, 1)


def mul_backward_vjp(attrs, metas, out_metas, mask):
    # inputs g, b, a; outputs g*b, g*a; with gradients h0, h1: dg = h0*b + h1*a, db = h0*g, da = h1*g
    return MUL_BACKWARD_2, None, (1, 2, 0), tuple(i if mask >> i & 1 else -1 for i in range(3))


OPS: dict = {}


def make(name, arity, prepare, **fields):
    record = Record(name, prepare, **fields)
    OPS[name] = _core.Op(name, arity, record)
    return OPS[name]


ADD = make(
    "add",
    2,
    elementwise("add", 2),
    vjp=lambda attrs, metas, outs, mask: (None, None, (), tuple(-2 if mask >> i & 1 else -1 for i in range(2))),
)
MUL = make("mul", 2, elementwise("mul", 2), vjp=mul_vjp, argument_names=("x1", "x2"))
NEG = make("neg", 1, elementwise("neg", 1), vjp=lambda attrs, metas, outs, mask: (NEG, None, (), (0,)))
SQUARE = make(
    "square", 1, elementwise("square", 1), vjp=lambda attrs, metas, outs, mask: (SQUARE_BACKWARD, None, (0,), (0,))
)
MUL_BACKWARD = make("mul_backward", 3, products([(0, 1), (0, 2)]), vjp=mul_backward_vjp)
# inputs h0, h1, b, a, g
MUL_BACKWARD_2 = make("mul_backward_2", 5, products([(0, 2, 1, 3), (0, 4), (1, 4)]))
# inputs g, x: g*x + g*x
SQUARE_BACKWARD = make(
    "square_backward",
    2,
    products([(0, 1, 0, 1)]),
    vjp=lambda attrs, metas, outs, mask: (
        SQUARE_BACKWARD_2,
        None,
        (0, 1),
        tuple(i if mask >> i & 1 else -1 for i in range(2)),
    ),
)  # inputs h, g, x: dg = 2hx, dx = 2hg
SQUARE_BACKWARD_2 = make("square_backward_2", 3, products([(0, 2, 0, 2), (0, 1, 0, 1)]), multiple_results=True)
SCALE = make("scale", 2, elementwise("scale", 2), vjp=lambda attrs, metas, outs, mask: (SCALE, None, (1,), (0, -1)))
NAN = make("nan", 1, elementwise("nan", 1), vjp=lambda attrs, metas, outs, mask: (NAN, None, (), (0,)))


def prepare(op, attrs, metas):
    op.record.prepared += 1
    return op.record.prepare(attrs, metas)


def vjp(op, attrs, metas, out_metas, mask):
    return op.record.vjp(attrs, metas, out_metas, mask) if op.record.vjp else None


class Installed:
    """Puts the tiny framework into the core for a `with` block, then puts back what was there."""

    def __enter__(self):
        self.callbacks = _core.install(
            prepare=prepare, vjp=vjp, convert=None, trace=None, repr=None, anomaly=None, fill=None, package=None
        )
        operators = {"add": ADD, "multiply": MUL, "negative": NEG, "getitem": None, "setitem": None}
        self.operators = {name: _core.set_operator(name, op) for name, op in operators.items()}
        self.accumulate = _core.set_accumulate(ADD)
        return self

    def __exit__(self, *error):
        _core.install(**self.callbacks)
        for name, op in self.operators.items():
            _core.set_operator(name, op)
        _core.set_accumulate(self.accumulate)
