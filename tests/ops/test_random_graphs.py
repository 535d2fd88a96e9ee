"""Random graphs: lowered and fused they give what the interpreter says, whatever ops meet."""

import numpy as np
from hypothesis import HealthCheck, given, settings

from twain.base import dtypes as dt
from twain.ir.interpret import interpret
from twain.ir.node import Graph
from twain.testing import drivers, random_graphs
from twain.testing.samples import to_array, to_tensor

COUNT = 150
drivers.load_all()
many = settings(max_examples=COUNT, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def run(drawn: random_graphs.Drawn) -> list:
    layouts = zip(drawn.arrays, drawn.graph.parameters, drawn.layouts)
    return drivers.run_graph(drawn.graph, [to_tensor(a, p.dtype, layout) for a, p, layout in layouts])


@many
@given(random_graphs.graphs(dt.int32))
def test_integers_exactly(drawn):
    """Integer arithmetic wraps and commutes, so every order of computing gives the same bits."""
    for got, want in zip(run(drawn), interpret(drawn.graph, drawn.arrays)):
        np.testing.assert_array_equal(to_array(got), want)


@many
@given(random_graphs.graphs(dt.float64))
def test_floats_closely(drawn):
    """Within rounding of the largest number that occurs on the way."""
    nodes = drawn.graph.nodes()
    inside = interpret(Graph("inside", drawn.graph.parameters, nodes), drawn.arrays)
    largest = max((float(np.abs(v).max()) for v in inside if v.size), default=1.0)
    if not np.isfinite(largest) or largest > 1e8:
        return
    value = dict(zip(nodes, inside))
    for got, output in zip(run(drawn), drawn.graph.outputs):
        np.testing.assert_allclose(to_array(got), value[output], rtol=1e-6, atol=1e-8 * max(1.0, largest))
