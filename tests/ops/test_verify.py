"""The verifier finds broken graphs; whole graphs pass it around every pass; dumps show before and after."""

import random

import numpy as np
import pytest

import twain
from twain.base import dtypes as dt
from twain.base.errors import VerificationError
from twain.ir.interpret import interpret
from twain.ir.node import Graph, Node, Spec, make_constant, make_parameter, project
from twain.ir.op import REGISTRY
from twain.ir.verify import complaints, verify
from twain.ops.elementwise import add
from twain.ops.shape import embed
from twain.passes.layout import arrange
from twain.passes.simplify import simplify
from twain.testing import drivers, random_graphs

drivers.load_all()
FLOATS = Spec(dt.float32, (2, 3))


def broken(case: str) -> Graph:
    x = make_parameter(0, FLOATS)
    add = REGISTRY["add"]
    node = {
        "arity": lambda: Node(add, (x,), None, (FLOATS,)),
        "shape": lambda: Node(add, (x, x), None, (Spec(dt.float32, (2, 4)),)),
        "dtype": lambda: Node(add, (x, x), None, (Spec(dt.float64, (2, 3)),)),
        "size": lambda: Node(REGISTRY["reshape"], (x,), (-1, 3), (Spec(dt.float32, (-1, 3)),)),
        "attributes": lambda: Node(REGISTRY["sum"], (x,), ([0], False), (Spec(dt.float32, (3,)),)),
        "canonical": lambda: Node(REGISTRY["sum"], (x,), ((-1,), False), (Spec(dt.float32, (2,)),)),
        "project": lambda: Node(project, (x,), 3, (FLOATS,)),
        "constant": lambda: Node(make_constant(1).op, (), "1", (Spec(dt.weak_int, ()),)),
        "stray": lambda: Node(add, (x, make_parameter(1, FLOATS)), None, (FLOATS,)),
        "weak": lambda: Node(REGISTRY["negative"], (make_constant(1.0),), None, (Spec(dt.weak_float, ()),)),
    }[case]()
    return Graph("broken", [x], [node])


@pytest.mark.parametrize(
    "case", ["arity", "shape", "dtype", "size", "attributes", "canonical", "project", "constant", "stray", "weak"]
)
def test_broken_graphs_are_found(case):
    with pytest.raises(VerificationError, match="broken"):
        verify(broken(case), "test")


def test_composites_where_primitives_are_expected():
    x = make_parameter(0, FLOATS)
    graph = Graph("g", [x], [Node(REGISTRY["mean"], (x,), (None, False), (Spec(dt.float32, ()),))])
    assert complaints(graph) == []
    assert any("composite" in text for text in complaints(graph, primitive=True))


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_pass(seed):
    drawn = random_graphs.make(random.Random(seed).randint, dt.float64, 5, 20)
    assert complaints(drawn.graph) == []
    assert complaints(simplify(drawn.graph), primitive=True) == []


@pytest.mark.parametrize("name", sorted(drivers.load_all()))
def test_ops_pass(name):
    """Every op's graph, and what simplify makes of it."""
    record = REGISTRY[name]
    one = next(iter(drivers.tries(record, drivers.samples_dtype(record))))
    graph = drivers.graph_of(record, one)
    assert complaints(graph) == []
    assert complaints(simplify(graph), primitive=True) == []


def test_dump(monkeypatch, capsys):
    monkeypatch.setattr(twain.config, "dump", "simplify")
    simplify(broken_free())
    text = capsys.readouterr().err
    assert (
        "-- before simplify" in text
        and "mean" in text.split("-- after")[0]
        and "mean(" not in text.split("-- after")[1]
    )


def broken_free() -> Graph:
    x = make_parameter(0, FLOATS)
    return Graph("g", [x], [Node(REGISTRY["mean"], (x,), (None, False), (Spec(dt.float32, ()),))])


@pytest.mark.parametrize("case", ["whole", "gap", "overlap", "and another", "twice"])
def test_parts_placed_side_by_side_become_a_concatenation(case):
    """The gradient of a value that was taken apart: one pass over it instead of one for each part."""
    shape = (3, 9)
    parts = [make_parameter(k, Spec(dt.float32, (3, width))) for k, width in enumerate((4, 2, 3))]
    starts = [(0, 0), (0, 4), (0, 6)]
    if case == "gap":
        parts, starts = [parts[0], make_parameter(1, parts[2].spec)], [(0, 1), (0, 6)]
    elif case == "overlap":
        starts[2] = (0, 5)
    rest = make_parameter(len(parts), Spec(dt.float32, shape))
    placed = [embed(p, shape, start, (1, 1)) for p, start in zip(parts, starts)]
    total = placed[-1]
    for p in placed[:-1]:
        total = add(p, total)
    if case == "and another":
        total = add(rest, total)
    graph = Graph("parts", [*parts, rest], [total] if case != "twice" else [total, add(rest, total)])
    arranged = arrange(graph)
    names = [n.op.name for n in arranged.nodes()]
    assert names.count("concat") == 1
    assert names.count("embed") == (1 if case == "overlap" else 0)
    values = [np.random.default_rng().standard_normal(p.shape).astype(np.float32) for p in graph.parameters]
    for found, wanted in zip(interpret(arranged, values), interpret(graph, values)):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "shape, to, axes",
    [
        ((3, 4, 5), (3, 20), (1,)),
        ((3, 4, 5), (12, 5), (0,)),
        ((3, 4, 5), (60,), (0,)),
        ((2, 3, 4, 5), (6, 20), (0, 1)),
        ((2, 3, 4, 5), (2, 12, 5), (1,)),
        ((1, 3, 4), (3, 4, 1), (0,)),
        ((6, 4), (3, 8), (1,)),
        ((4, 6), (3, 8), (1,)),
        ((2, 3, 1), (6,), (0,)),
    ],
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_behind_a_reshape(shape, to, axes, keepdims):
    x = np.random.default_rng().normal(size=shape)
    compiled = twain.compile(lambda x: (x * x).reshape(to).sum(axis=axes, keepdims=keepdims))
    for _ in range(3):
        found = compiled(twain.asarray(x)).numpy()
        np.testing.assert_allclose(found, (x * x).reshape(to).sum(axis=axes, keepdims=keepdims), rtol=1e-12)
