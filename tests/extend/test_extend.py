"""Ops of users: their values, fusion, derivatives, batching, and what mistakes say."""

import ctypes
import importlib.util
import subprocess
import sys
import sysconfig
import warnings

import numpy as np
import pytest

import twain
from twain import extend
from twain.extend import compilers


@extend.elementwise(derivatives=lambda x, y, *, slope: twain.where(x > 0, twain.ones_like(x), slope))
def own_leak(k, x, *, slope=0.25):
    return k.select(x > 0, x, slope * x)


@extend.python_function(
    result=lambda x, w: [extend.spec(x.shape, x.dtype), extend.spec(x.shape[:-1], "float64")],
    gradient=lambda g, h, x, w, y, z: (g * w + h[..., None], (g * x).sum()),
    jvp=lambda s, t, x, w, y, z: (s * w + x * t, s.sum(axis=-1)),
)
def scaled_and_summed(x, w):
    return x * w, x.sum(-1)


def check_derivatives(function, *at):
    """Gradient, tangent and second order against differences, in float64."""
    rng = np.random.default_rng()
    along = [rng.standard_normal(a.shape) for a in at]
    tensors = [twain.asarray(a) for a in at]
    step = 1e-6
    up, down = ([twain.asarray(a + s * d) for a, d in zip(at, along)] for s in (step, -step))
    want = (function(*up) - function(*down)).item() / (2 * step)
    gradients = twain.grad(function, argnums=tuple(range(len(at))))(*tensors)
    np.testing.assert_allclose(sum((g.numpy() * d).sum() for g, d in zip(gradients, along)), want, rtol=1e-5, atol=1e-6)
    _, tangent = twain.jvp(function, tuple(tensors), tuple(map(twain.asarray, along)))
    np.testing.assert_allclose(tangent.item(), want, rtol=1e-5, atol=1e-6)


def test_expressions_with_static_arguments():
    x = np.random.default_rng().standard_normal((3, 4))
    for slope in (0.25, 2.0):
        want = np.where(x > 0, x, slope * x)
        np.testing.assert_allclose(own_leak(twain.asarray(x), slope=slope).numpy(), want)
        check_derivatives(lambda a, s=slope: (own_leak(a, slope=s) ** 2).sum(), x)
    np.testing.assert_allclose(twain.vmap(own_leak)(twain.asarray(x)).numpy(), np.where(x > 0, x, 0.25 * x))
    assert own_leak(twain.asarray([1, -4])).dtype is twain.float32


def test_expressions_share_a_kernel():
    f = twain.compile(lambda x: (own_leak(x * 2) + 1).sum())
    for _ in range(3):
        assert f(twain.asarray([1.0, -1.0])).item() == 3.5
    assert f.hits == 1


def test_a_name_of_twain_is_refused_and_one_of_ones_own_is_not():
    with pytest.raises(TypeError, match=r"\[extend.elementwise\] name: expected a new name, got 'relu'"):
        extend.elementwise(lambda k, x: x, name="relu")
    for _ in range(2):  # as when a notebook's cell is run again
        twice = extend.elementwise(lambda k, x: x + x, name="twice_again")
    assert twice(twain.asarray([2.0])).tolist() == [4.0]


def test_composition():
    @extend.composition
    def normed(x, *, eps=1e-6):
        """Rows of mean square 1."""
        return x * twain.rsqrt((x * x).mean(axis=-1, keepdims=True) + eps)

    x = np.random.default_rng().standard_normal((3, 4))
    check_derivatives(lambda a: (normed(a, eps=0.1) ** 3).sum(), x)
    many = twain.vmap(normed)(twain.asarray(x)).numpy()
    np.testing.assert_allclose(many, normed(twain.asarray(x)).numpy(), rtol=1e-12)


def test_python_function():
    rng = np.random.default_rng()
    x, w = rng.standard_normal((3, 4)), rng.standard_normal(())

    def loss(x, w):
        y, z = scaled_and_summed(x * 2, w)
        return (y * y).sum() + (z**3).sum()

    check_derivatives(loss, x, w)
    f = twain.compile(loss)
    for _ in range(3):
        got = f(twain.asarray(x), twain.asarray(w)).item()
        np.testing.assert_allclose(got, ((2 * x * w) ** 2).sum() + (2 * x).sum(-1).__pow__(3).sum())
    assert f.hits == 1


@pytest.mark.parametrize("batch", ["loop", "all"])
def test_python_function_under_vmap(batch):
    @extend.python_function(gradient=lambda g, x, s, y: (g * twain.cos(x) * s, None), batch=batch)
    def wave(x, s):
        return np.sin(x) * s

    x, s = np.random.default_rng().standard_normal((5, 3)), np.array([1.0, 2.0, 3.0])
    got = twain.vmap(wave, in_axes=(0, None))(twain.asarray(x), twain.asarray(s))
    np.testing.assert_allclose(got.numpy(), np.sin(x) * s)
    per_row = twain.vmap(twain.grad(lambda r: wave(r, twain.asarray(s)).sum()))(twain.asarray(x))
    np.testing.assert_allclose(per_row.numpy(), np.cos(x) * s)
    over = twain.grad(lambda a: twain.vmap(wave, in_axes=(0, None))(a, twain.asarray(s)).sum())(twain.asarray(x))
    np.testing.assert_allclose(over.numpy(), np.cos(x) * s)


def test_python_function_that_breaks_its_word_or_fails():
    wrong = extend.python_function(lambda x: x[:1], name="wrong_shape")
    with pytest.raises(
        ValueError, match=r"\[wrong_shape\] result 0: expected float32\[3\], as declared, got float32\[1\]"
    ):
        wrong(twain.ones(3))

    @extend.python_function
    def failing(x):
        raise KeyError("half way")

    x = twain.ones(3)
    f = twain.compile(lambda x: failing(x * 2) + 1)
    for call in (failing, f, f, f):
        with pytest.raises(KeyError, match="half way"):
            call(x)
    assert x.tolist() == [1, 1, 1]
    kept = []
    keeper = extend.python_function(lambda x: kept.append(x) or x, name="keeper")
    keeper(twain.ones(3))
    twain.zeros(3)
    assert kept[0].tolist() == [1, 1, 1]  # a copy


SOURCE = """
void scale(const double *x, double a, double *y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) y[i] = a * x[i];
}
void outer(const float *x, const float *y, float *z, float *total, int64_t n, int64_t m) {
    *total = 0;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < m; ++j) *total += z[i * m + j] = x[i] * y[j];
}
void square(const float *x, float *y, int64_t n) { for (int64_t i = 0; i < n; ++i) y[i] = x[i] * x[i]; }
int positive(const int32_t *x, int32_t *y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) { if (x[i] < 0) return 3; y[i] = x[i]; }
    return 0;
}
void both(const float *x, float *y, int64_t n) { for (int64_t i = 0; i < n; ++i) y[i] = y[i + n] = x[i]; }
"""


def has_compiler() -> bool:
    try:
        return bool(compilers.find_compiler("c"))
    except extend.CompileError:
        return False


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="there is no C compiler")


@needs_compiler
def test_c_functions():
    rng = np.random.default_rng()
    scale = extend.c_function(
        SOURCE, "scale", "x: float64[n], a: float64 -> y: float64[n]", threads=True,
        gradient=lambda g, x, y, *, a: scale(g, a=a), jvp=lambda t, x, y, *, a: scale(t, a=a),
    )  # fmt: skip
    x = rng.standard_normal((4, 3, 5))
    t = twain.asarray(x)
    np.testing.assert_allclose(scale(t, a=2.5).numpy(), 2.5 * x)
    np.testing.assert_allclose(scale(t.T[::2], a=-1).numpy(), -x.T[::2])
    assert scale(twain.zeros((0, 3), dtype="float64"), a=1).shape == (0, 3)
    assert scale(twain.zeros((3, 0), dtype="float64"), a=1).shape == (3, 0)
    check_derivatives(lambda x: (scale(x * 2, a=0.5) ** 3).sum(), x)
    np.testing.assert_allclose(twain.vmap(lambda r: scale(r, a=3.0))(t).numpy(), 3 * x)
    f = twain.compile(lambda x: scale(x + 1, a=2.0) * 2)
    for _ in range(3):
        np.testing.assert_allclose(f(t).numpy(), 4 * (x + 1))
    for n in range(1, 9):  # new shapes
        np.testing.assert_allclose(scale(t[:, :, :n], a=2.0).numpy(), 2 * x[:, :, :n])

    outer = extend.c_function(SOURCE, "outer", "x: float32[n], y: float32[m] -> z: float32[n, m], total: float32")
    a, b = rng.standard_normal((2, 1, 3)).astype("float32"), rng.standard_normal((4, 5)).astype("float32")
    z, total = outer(twain.asarray(a), twain.asarray(b))
    np.testing.assert_allclose(z.numpy(), a[..., :, None] * b[..., None, :], rtol=1e-6)
    np.testing.assert_allclose(total.numpy(), z.numpy().sum((-1, -2)), rtol=1e-4, atol=1e-4)

    square = extend.c_function(SOURCE, "square", "x: float32[...] -> y: float32[...]", threads=True, name="c_square")
    big = rng.standard_normal((300, 301)).astype("float32")
    np.testing.assert_array_equal(square(twain.asarray(big).T).numpy(), big.T * big.T)
    both = extend.c_function(SOURCE, "both", "x: float32[n] -> y: float32[2 * n]")
    assert both(twain.asarray([1.0, 2.0])).tolist() == [1, 2, 1, 2]


@needs_compiler
def test_c_functions_that_fail():
    positive = extend.c_function(
        SOURCE,
        "positive",
        "x: int32[n] -> y: int32[n]",
        status={3: "expected no negative numbers"},
        name="all_positive",
    )
    x = twain.asarray([[1, 2], [3, -4]], dtype="int32")
    assert positive(x[:1]).tolist() == [[1, 2]]
    f = twain.compile(lambda x: positive(x) + 1)
    for call in (positive, f, f, f):
        with pytest.raises(extend.ForeignError, match=r"\[all_positive\] expected no negative numbers \(part 1"):
            call(x)
    scale = extend.c_function(SOURCE, "scale", "x: float64[n], a: float64 -> y: float64[n]", name="scale_it")
    for call, message in (
        (lambda: scale(twain.ones(3), a=1), r"\[scale_it\] x: expected float64, got float32; convert"),
        (lambda: scale(twain.asarray(1.0, dtype="float64"), a=1), r"\[scale_it\] x: expected at least 1 axes"),
        (lambda: scale(twain.ones(3, dtype="float64")), r"\[scale_it\] a: expected a value"),
        (lambda: scale(twain.ones(3, dtype="float64"), a="2"), r"\[scale_it\] a: expected a number"),
        (lambda: scale(twain.ones(3, dtype="float64"), b=2), r"\[scale_it\] expected keywords among a, got b"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()


SIGN = "x: float32[n] -> y: float32[n]"


@needs_compiler
@pytest.mark.parametrize(
    "source, symbol, signature, message",
    [
        (
            "void f(const float *x, float *y, int64_t n) {\n  y[0] = x[0]\n}",
            "f",
            SIGN,
            "line 2 of the source: expected",
        ),
        ("void f(const float *x) {}", "f", SIGN, "doesn't fit its signature"),
        ("void g(const float *x, float *y, int64_t n) {}", "f", SIGN, "doesn't fit its signature"),
        ("#include <no_such.h>\nvoid f() {}", "f", SIGN, "line 1 of the source: "),
        ("no/such/library.so", "f", SIGN, "expected a shared library"),
        ("void f() {}", "f", "x: float32[n]", r"signature: expected text such as"),
        ("void f() {}", "f", "x: float12[n] -> y: float32[n]", "expected a dtype"),
        ("void f() {}", "f", "x: float32[n] -> y: float32[k]", "expected sizes made of"),
        ("void f() {}", "f", "a: float16, x: float32[n] -> y: float32[n]", "expected numbers among"),
        ("void f() {}", "f", "x: float32[...] -> y: float32[n]", r"expected \[...\] for all arrays or for none"),
        ("void f() {}", "not a name", SIGN, "symbol: expected the name of a function"),
    ],
)
def test_mistakes_in_c(source, symbol, signature, message):
    with pytest.raises((TypeError, ValueError), match=message):
        extend.c_function(source, symbol, signature)


@needs_compiler
def test_shared_libraries_and_other_languages(tmp_path):
    path = tmp_path / "twice.cpp"
    path.write_text(
        'extern "C" void twice(const float* x, float* y, int64_t n) { for (int64_t i = 0; i < n; ++i) y[i] = 2 * x[i]; }'
    )
    try:
        compilers.find_compiler("c++")
    except extend.CompileError:
        pytest.skip("there is no C++ compiler")
    twice = extend.c_function(path, "twice", SIGN)
    assert twice(twain.ones(2)).tolist() == [2, 2]
    library = tmp_path / "twice.so"
    subprocess.run(
        [*compilers.find_compiler("c++"), "-shared", "-fPIC", "-include", "cstdint", str(path), "-o", str(library)],
        check=True,
    )
    again = extend.c_function(str(library), "twice", SIGN, name="twice_from_library")
    assert again(twain.ones(2)).tolist() == [2, 2]
    with pytest.raises(extend.CompileError, match='must be extern "C"'):
        extend.c_function(str(library), "thrice", SIGN)


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compilers.util, "find_spec", lambda name: None)
    with pytest.raises(extend.CompileError, match=r"expected a C compiler .* found none; `pip install ziglang`"):
        extend.c_function("void f(const float *x, float *y, int64_t n) {}\n", "f", SIGN)


def test_packages_that_are_not_there():
    with pytest.raises(AttributeError, match=r"registers 'nowhere' in the entry point group 'twain.ops'"):
        extend.ops.nowhere


C_API = ctypes.pythonapi


def test_capsule_and_header():
    header = extend.include() + "/twain.h"
    with open(header) as file:
        assert "TWAIN_API_VERSION 1" in file.read()
    C_API.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]
    assert C_API.PyCapsule_IsValid(twain._core.c_api, b"twain._core.c_api") == 1


MODULE = r"""
#include <Python.h>
#include <twain.h>
static const TwainApi *twain;
static int given_back = 0;
static float numbers[6] = {0, 1, 2, 3, 4, 5};
static void back(void *context) { given_back += *(int *)context; }
static int one = 1;
static PyObject *describe(PyObject *self, PyObject *x) {
    TwainView v;
    if (twain->view(x, &v) < 0) return NULL;
    PyObject *r = Py_BuildValue("iiLi", v.dtype, v.ndim, (long long)v.size, v.contiguous);
    twain->release(&v);
    return r;
}
static PyObject *borrowed(PyObject *self, PyObject *none) {
    int64_t shape[2] = {3, 2}, strides[2] = {-2, 1};
    return twain->wrap(numbers + 4, TWAIN_FLOAT32, 2, shape, strides, back, &one);
}
static PyObject *returned(PyObject *self, PyObject *none) { return PyLong_FromLong(given_back); }
static PyObject *bad(PyObject *self, PyObject *kind) {
    int64_t shape[1] = {-1};
    void *data;
    return twain->make(PyLong_AsLong(kind), 1, shape, &data);
}
static PyMethodDef methods[] = {{"describe", describe, METH_O}, {"borrowed", borrowed, METH_NOARGS},
                                {"returned", returned, METH_NOARGS}, {"bad", bad, METH_O}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "taker", NULL, -1, methods};
PyMODINIT_FUNC PyInit_taker(void) {
    twain = twain_import();
    return twain == NULL ? NULL : PyModule_Create(&module);
}
"""


@needs_compiler
def test_tensors_in_c(tmp_path):
    python = sysconfig.get_paths()["include"]
    source, library = tmp_path / "taker.c", tmp_path / "taker.so"
    source.write_text(MODULE)
    done = subprocess.run(
        [*compilers.find_compiler("c"), "-shared", "-fPIC", f"-I{extend.include()}", f"-I{python}", str(source), "-o",
         str(library)],
        capture_output=True, text=True,
    )  # fmt: skip
    if "Python.h" in done.stderr:
        pytest.skip("there are no headers of Python")
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location("taker", library)
    taker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(taker)
    assert taker.describe(twain.zeros((2, 3)).T) == (11, 2, 6, 0)
    assert taker.describe(twain.asarray(True)) == (0, 0, 1, 1)
    with pytest.raises(TypeError, match="Tensor"):
        taker.describe(3)
    x = taker.borrowed()
    assert x.tolist() == [[4, 5], [2, 3], [0, 1]] and (x + x).tolist()[0] == [8, 10]
    x += 1  # written elsewhere
    assert taker.borrowed().tolist() == [[4, 5], [2, 3], [0, 1]]
    assert x.tolist()[0] == [5, 6]
    del x
    assert taker.returned() == 2
    for kind, message in ((11, "expected dimensions >= 0"), (77, "dtype: expected 0 to 14")):
        with pytest.raises(ValueError, match=message):
            taker.bad(kind)
    # a recording doesn't keep what left it
    f = twain.compile(lambda x: taker.describe(x)[2] + x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [f(twain.ones(n)).tolist() for n in (2, 3, 3, 3)] == [[3, 3], *[[4, 4, 4]] * 3]


def test_loading_costs_nothing_before_it_is_used():
    code = "import twain, sys; assert not any(m.startswith('twain.extend') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
