"""Every op lowered for processors that this one need not be: LLVM reads and verifies the text, no code is made of it."""

import pytest

from twain.base.errors import TwainError
from twain.base.shapes import contiguous_strides
from twain.codegen import jit
from twain.codegen.builder import Module
from twain.codegen.kernel import LoopKernel
from twain.codegen.loops import emit_kernel
from twain.codegen.lower import lower
from twain.codegen.targets import by_name
from twain.runtime.kernels import text_of
from twain.runtime.prepare import ready
from twain.testing import drivers
from twain.testing.samples import tries, value_dtypes

TABLE = {name: record for name, record in drivers.load_all().items() if not name.startswith("test_")}


def graphs():
    """(op, graph) for one sample of each op: in every dtype where kernels are the op's own, in one elsewhere."""
    for name, record in TABLE.items():
        if record.samples is None:
            continue
        own = record.family == "reduction" or (record.lowering and record.family not in ("host", "control", "foreign"))
        for dtype in drivers.accepted_dtypes(record) if own else value_dtypes(record)[:1]:
            try:
                graph = drivers.graph_of(record, next(iter(tries(record, dtype))))
            except (TwainError, TypeError, ValueError):
                assert own is False, (name, dtype)
                continue
            yield f"{name} {dtype}", ready(graph)


@pytest.fixture(scope="module")
def table():
    found = list(graphs())
    assert len(found) > len(TABLE)
    return found


def verify(text: str, target) -> None:
    llvm = jit.llvm()
    llvm.parse_assembly(f'target triple = "{target.triple}"\n{text}').verify()


@pytest.mark.parametrize("name", ["x86-64-v4", "arm64", "x86-64"])
def test_every_op_is_valid_text_for(table, name):
    target = by_name(name)
    written: dict[str, str] = {}
    kernels = {}
    for op, graph in table:
        layouts = [None] * (1 + max((p.attrs for p in graph.parameters), default=-1))
        for p in graph.parameters:
            layouts[p.attrs] = contiguous_strides(p.shape)
        for step in lower(graph, layouts, target).steps:
            if not callable(step.kernel) and text_of(step.kernel) not in written:
                written[text_of(step.kernel)] = op
                kernels.setdefault(op, []).append(step.kernel)

    def module_of(chosen: list) -> str:
        module = Module()
        for number, kernel in enumerate(chosen):
            if type(kernel) is LoopKernel:
                emit_kernel(module, f"k{number}", kernel, target)
            else:
                kernel.emit(module, f"k{number}")
        return module.text()

    wrong = []
    ops = list(kernels)
    for first in range(0, len(ops), 40):
        part = ops[first : first + 40]
        try:  # many small kernels are read together, and apart once something is wrong
            verify(module_of([k for op in part for k in kernels[op]]), target)
        except RuntimeError:
            for op in part:
                try:
                    verify(module_of(kernels[op]), target)
                except RuntimeError as error:
                    wrong.append((op, str(error)[:300]))
    assert not wrong, wrong
    assert len(written) > 300
