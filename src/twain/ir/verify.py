"""The rules of the tensor dialect, as data, and the one place where passes are checked and dumped.

`TWAIN_VERIFY=1` (config.verify) checks graphs before and after every pass; `TWAIN_DUMP=simplify` (config.dump; "all" for
every pass) prints them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from ..base import dtypes as dt
from ..base.config import config
from ..base.errors import TwainError, VerificationError
from ..base.shapes import INTEGERS
from . import node as ir
from .node import Graph, Node
from .op import infer, specs_of


# ---------------------------------------------------------------- rules: each gives what is wrong with a node, or nothing
def _arity(n: Node) -> Iterator[str]:
    if n.op.family == "leaf":
        wanted = 1 if n.op is ir.project else 0
        if len(n.inputs) != wanted:
            yield f"expected {wanted} inputs, got {len(n.inputs)}"
    elif n.op.arity >= 0 and len(n.inputs) != n.op.arity:
        yield f"expected {n.op.arity} inputs, got {len(n.inputs)}"


def _specs(n: Node) -> Iterator[str]:
    for s in n.specs:
        if s.dtype not in dt.BY_CODE:
            yield f"expected a dtype of the table, got {s.dtype!r}"
        if type(s.shape) is not tuple or any(type(d) not in INTEGERS or d < 0 for d in s.shape):
            yield f"expected a shape of sizes >= 0, got {s.shape!r}"
        if s.dtype.weak and n.op.family != "leaf":
            yield f"expected a strong dtype, got {s.dtype}"


def _attributes(n: Node) -> Iterator[str]:
    try:
        hash(n.attrs)
    except TypeError:
        yield f"expected hashable static arguments, got {n.attrs!r}"


def _leaves(n: Node) -> Iterator[str]:
    if n.op is ir.constant and not ir.is_python_scalar(n.attrs):
        yield f"expected a Python scalar, got {type(n.attrs).__name__}"
    if n.op is ir.project:
        whole = n.inputs[0]
        if not isinstance(n.attrs, int) or not 0 <= n.attrs < len(whole.specs):
            yield f"expected a result number below {len(whole.specs)}, got {n.attrs!r}"
        elif whole.specs[n.attrs] != n.spec:
            yield f"expected {whole.specs[n.attrs]}, got {n.spec}"


def _inferred(n: Node) -> Iterator[str]:
    if n.op.family == "leaf":
        return
    try:
        attrs, specs = infer(n.op, n.attrs, specs_of(n.inputs))
    except TwainError as error:
        yield f"expected operands that fit, got the error {error}"
        return
    if specs != n.specs:
        yield f"expected {specs} from its operands, got {n.specs}"
    if attrs != n.attrs:
        yield f"expected resolved static arguments {attrs!r}, got {n.attrs!r}"


NODE_RULES: tuple[Callable, ...] = (_arity, _specs, _attributes, _leaves, _inferred)


def complaints(graph: Graph, primitive: bool = False) -> list[str]:
    """Everything that is wrong with a graph, one line each, with the user's line where it is known."""
    found = []
    listed = set(graph.parameters)
    positions = [p.attrs for p in graph.parameters]
    if len(set(positions)) != len(positions):
        found.append(f"{graph.name}: expected distinct parameter positions, got {positions}")
    for o in graph.outputs:
        if type(o) is not Node:
            found.append(f"{graph.name}: expected nodes as results, got {o!r}")
    for n in ir.topological([o for o in graph.outputs if type(o) is Node]):
        place = f"{graph.name}: {n!r}" + (f" ({n.source})" if n.source else "")
        if n.op is ir.parameter and n not in listed:
            found.append(f"{place}: expected to be in the graph's list of parameters (position {n.attrs})")
        if primitive and n.op.composite is not None:
            found.append(f"{place}: expected primitives only, got a composite")
        for rule in NODE_RULES:
            found.extend(f"{place}: {text}" for text in rule(n))
    return found


def verify(graph: Graph, where: str, primitive: bool = False) -> None:
    """VerificationError listing what is wrong with `graph`."""
    found = complaints(graph, primitive)
    if found:
        raise VerificationError(f"[{where}] expected a valid graph, got:\n  " + "\n  ".join(found) + f"\n{graph}")


def around(name: str, transform: Callable, graph: Graph, primitive: bool = False) -> Graph:
    """transform(graph), checked and printed before and after as the configuration asks."""
    if not config.verify and not config.dump:
        return transform(graph)
    show = config.dump in (name, "all")
    if config.verify:
        verify(graph, f"before {name}")
    if show:
        print(f"-- before {name}\n{graph}", file=sys.stderr)
    result = transform(graph)
    if config.verify:
        verify(result, f"after {name}", primitive)
    if show:
        print(f"-- after {name}\n{result}", file=sys.stderr)
    return result


def show(name: str, make_text: Callable) -> None:
    """Print what a pass found that isn't a graph, if the configuration asks for that pass."""
    if config.dump in (name, "all"):
        print(f"-- {name}\n{make_text()}", file=sys.stderr)


__all__ = ["NODE_RULES", "around", "complaints", "show", "verify"]
