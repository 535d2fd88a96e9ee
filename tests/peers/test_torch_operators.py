"""Values, gradients and refusals against PyTorch's own operator database; skipped where torch is not installed."""

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database imports it

import torch_operators as database  # noqa: E402

OPERATORS = {f"{op.name}.{op.variant_test_name}".rstrip("."): op for op in database.op_db if database.known(op)}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", OPERATORS)
def test_values(name):
    op = OPERATORS[name]
    for dtype in op.dtypes & set(database.DTYPES):
        _, wrong = database.check_values(op, dtype, 4)
        assert [w for w in wrong if not database.excuse(name, w)] == []


@pytest.mark.parametrize("name", [n for n, op in OPERATORS.items() if op.supports_autograd])
def test_gradients(name):
    op = OPERATORS[name]
    for dtype in {torch.float64, torch.complex128} & op.dtypes:
        _, wrong = database.check_gradients(op, dtype, 4)
        assert [w for w in wrong if not database.excuse(name, w)] == []


@pytest.mark.parametrize("name", [n for n, op in OPERATORS.items() if op.error_inputs_func])
def test_refusals(name):
    _, wrong = database.check_refusals(OPERATORS[name])
    assert [w for w in wrong if not database.excuse(name, w)] == []
