"""Every op of the table: value, special values, derivatives, batching, compiled against eager against interpreter."""

import pytest

from twain.base import dtypes as dt
from twain.testing import drivers, samples

TABLE = {name: record for name, record in drivers.load_all().items() if not name.startswith("test_")}
OPS = sorted(TABLE)
DIFFERENTIABLE = [name for name in OPS if TABLE[name].differentiable]

# Why a part of the definition is missing, one line each: (op, part) -> reason.
REASONS = {
    ("linalg.eig", "gradient"): "the phase of an eigenvector is free: tests/ops/test_linalg.py differentiates what isn't",
    (
        "embedding",
        "gradient",
    ): "the row at padding_idx gets no gradient, by definition: tested without padding_idx in tests/nn",
    **{(name, "gradient"): "by its last operand only: tested in test_special.py"
       for name in ("betainc", "gammainc", "gammaincc", "zeta")},
    ("next_number", "gradient"): "constant between neighbouring numbers: tested as nextafter's",
    ("scale_by_frequency", "gradient"): "not the derivative, by definition: compared with PyTorch in tests/peers",
}  # fmt: skip


def complex_too(name: str) -> bool:
    record = TABLE[name]
    own = record.rules.dtypes if record.family == "elementwise" else record.samples.dtypes if record.samples else ()
    return {dt.float64, dt.complex128} <= set(own)


def has_reference(name: str) -> bool:
    try:
        drivers.reference(TABLE[name])
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("name", OPS)
def test_complete(name):
    """An op has a reference, samples, samples of errors, a jvp, a gradient and a batching rule, or there is a reason."""
    record = TABLE[name]
    missing = [part for part in ("reference", "samples", "errors") if not getattr(record, part)]
    if record.composite is None:
        if record.batch is None:
            missing.append("batch")
        if record.differentiable:
            missing += [part for part in ("vjp", "jvp") if getattr(record, part) is None]
    assert [part for part in missing if (name, part) not in REASONS] == []


@pytest.mark.parametrize("name", OPS)
def test_value(name):
    """The results in every dtype; where no reference stands apart, the interpreter's word is taken (test_compiled)."""
    if not has_reference(name):
        pytest.skip(f"{TABLE[name].reference} doesn't exist")
    for dtype in samples.value_dtypes(TABLE[name]):
        assert drivers.check_value(TABLE[name], dtype) > 0


@pytest.mark.parametrize("layout", ["transposed", "stepped", "reversed"])
@pytest.mark.parametrize("name", OPS)
def test_layouts(name, layout):
    """Operands that don't lie in memory row by row."""
    if not has_reference(name):
        pytest.skip(f"{TABLE[name].reference} doesn't exist")
    own = samples.value_dtypes(TABLE[name])
    drivers.check_value(TABLE[name], dt.float32 if dt.float32 in own else own[-1], layout)


SPECIAL = [n for n in OPS if TABLE[n].family == "elementwise" and TABLE[n].samples.special and n != "philox"]


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name):
    """NaN, infinities, zeros of both signs, very small and very large numbers."""
    for dtype in samples.value_dtypes(TABLE[name]):
        if dtype in (dt.float32, dt.float64):
            drivers.check_special(TABLE[name], dtype)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient(name):
    """First and second order against finite differences in random directions."""
    if (name, "gradient") in REASONS:
        pytest.skip(REASONS[name, "gradient"])
    drivers.check_gradient(TABLE[name])
    if complex_too(name):
        drivers.check_gradient(TABLE[name], dt.complex128)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_jvp(name):
    """Tangents against finite differences, and against the gradient."""
    if (name, "gradient") in REASONS:
        pytest.skip(REASONS[name, "gradient"])
    drivers.check_jvp(TABLE[name])
    if complex_too(name):
        drivers.check_jvp(TABLE[name], dt.complex128)


@pytest.mark.parametrize("name", OPS)
def test_vmap(name):
    """A batch at once is a loop over it, for each operand batched alone and for all."""
    own = samples.value_dtypes(TABLE[name])
    drivers.check_vmap(TABLE[name], dt.float64 if dt.float64 in own else own[-1])


@pytest.mark.parametrize("name", OPS)
def test_compiled(name):
    """Eager, compiled in a fused graph and interpreted agree."""
    own = samples.value_dtypes(TABLE[name])
    for dtype in own if len(own) < 4 else (own[1], *(d for d in (dt.float32, dt.bfloat16, dt.complex64) if d in own)):
        drivers.check_compiled(TABLE[name], dtype)


@pytest.mark.parametrize("name", [n for n in OPS if TABLE[n].family in ("elementwise", "reduction")])
def test_refused_dtypes(name):
    """A dtype that the op doesn't take is named, and so is the op."""
    drivers.check_refusals(TABLE[name])


@pytest.mark.parametrize("name", OPS)
def test_bad_arguments(name):
    """Arguments too many, and operands that don't fit, are errors in the user's terms that name the op."""
    drivers.check_errors(TABLE[name])
