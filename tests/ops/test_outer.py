"""Values larger than what they are computed from: in the order in which they are read, and by each reader."""

import numpy as np
import pytest

import twain
from twain.base import dtypes as dt
from twain.ir.interpret import interpret
from twain.ir.node import Graph, Spec, make_parameter
from twain.ops.elementwise import add, multiply
from twain.ops.reduce import sum as sum_
from twain.ops.shape import permute_dims
from twain.passes.fuse import fuse
from twain.passes.layout import arrange
from twain.passes.simplify import simplify

FLOATS = dt.float32


def parameters(*shapes):
    return [make_parameter(k, Spec(FLOATS, shape)) for k, shape in enumerate(shapes)]


def names(graph):
    return [n.op.name for n in graph.nodes()]


def same_values(graph, arranged):
    rng = np.random.default_rng()
    values = [rng.standard_normal(p.shape).astype(np.float32) for p in graph.parameters]
    for found, wanted in zip(interpret(arranged, values), interpret(graph, values)):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("inner", [False, True])
def test_a_permuted_outer_product_is_computed_permuted(inner):
    a, b, c = parameters((6, 5, 1), (6, 1, 7), (7,))
    outer = multiply(a, b)
    if inner:
        outer = add(multiply(outer, c), c)
    graph = Graph("outer", [a, b, c], [sum_(permute_dims(outer, (2, 0, 1)), (1,), False)])
    arranged = arrange(graph)
    assert all(n.inputs[0].op.family != "elementwise" for n in arranged.nodes() if n.op is permute_dims.record)
    same_values(graph, arranged)


def test_what_others_read_in_its_own_order_is_permuted_as_before():
    a, b = parameters((6, 5, 1), (6, 1, 7))
    outer = multiply(a, b)
    read_twice = Graph("twice", [a, b], [permute_dims(outer, (2, 0, 1)), sum_(outer, (2,), False)])
    assert len(arrange(read_twice).nodes()) == len(read_twice.nodes())
    a, c = parameters((6, 5, 1), (6, 5, 7))
    large = Graph("large", [a, c], [sum_(permute_dims(multiply(a, c), (2, 0, 1)), (1,), False)])
    assert len(arrange(large).nodes()) == len(large.nodes())
    same_values(large, arrange(large))


def test_a_large_outer_product_is_not_kept_for_two_readers():
    a, b, c = parameters((512, 1), (1, 1024), (512, 1))
    outer = multiply(a, b)
    square = multiply(outer, outer)
    graph = Graph("fold", [a, b, c], [sum_(square, (0, 1), False), sum_(multiply(outer, c), (0,), False)])
    arranged = arrange(graph)
    assert names(arranged).count("multiply") == 4  # one more: the outer product is made for each sum
    assert len(fuse(arranged).groups) == 2
    same_values(graph, arranged)
    kept = Graph("kept", [a, b], [outer, sum_(square, (0, 1), False)])
    assert names(arrange(kept)).count("multiply") == 2  # it is in memory anyway


def test_many_vectors_times_one_matrix_are_one_product():
    a, b = parameters((32, 1, 40), (40, 24))
    graph = simplify(Graph("rows", [a, b], [twain.ops.linalg.real_product(a, b)]))
    assert names(arrange(graph)).count("matrix_product") == 1
    same_values(graph, arrange(graph))


@pytest.mark.parametrize("compiled", [False, True])
def test_clipped_gradients_of_each_sample(compiled):
    rng = np.random.default_rng()
    p = {"w": rng.standard_normal((13, 9)).astype(np.float32), "v": rng.standard_normal((3, 13)).astype(np.float32)}
    x, y = rng.standard_normal((17, 9)).astype(np.float32), rng.standard_normal((17, 3)).astype(np.float32)

    def loss_of(p, x, y):
        return ((twain.tanh(p["w"] @ x) @ p["v"].T - y) ** 2).sum()

    def clipped(p, x, y):
        g = twain.vmap(twain.grad(loss_of), in_axes=(None, 0, 0))(p, x, y)
        norms = sum((v * v).reshape((17, -1)).sum(axis=1) for v in g.values()).sqrt()
        scale = twain.clip(1.0 / norms, None, 1.0)
        return {name: twain.tensordot(scale, v, 1) / 17 for name, v in g.items()}

    run = twain.compile(clipped) if compiled else clipped
    for _ in range(3):
        found = run({k: twain.asarray(v) for k, v in p.items()}, twain.asarray(x), twain.asarray(y))
    w, v = p["w"].astype(np.float64), p["v"].astype(np.float64)
    total = {"w": 0, "v": 0}
    for xi, yi in zip(x.astype(np.float64), y.astype(np.float64)):
        h = np.tanh(w @ xi)
        d = 2 * (v @ h - yi)
        gv = np.outer(d, h)
        gw = np.outer((d @ v) * (1 - h * h), xi)
        norm = np.sqrt((gv * gv).sum() + (gw * gw).sum())
        total = {"w": total["w"] + gw * min(1, 1 / norm) / 17, "v": total["v"] + gv * min(1, 1 / norm) / 17}
    for name, wanted in total.items():
        np.testing.assert_allclose(found[name].numpy(), wanted, rtol=1e-4, atol=1e-5)
