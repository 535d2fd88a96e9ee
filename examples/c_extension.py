"""An extension module written in C against twain.h: it looks at one tensor and makes another."""

import importlib.util
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import twain
from twain import extend
from twain.extend.compilers import find_compiler

SOURCE = r"""
#include <Python.h>
#include <twain.h>

static const TwainApi *twain;

/* prefix(x): running sums of a vector of float32 */
static PyObject *prefix(PyObject *self, PyObject *object) {
    TwainView x;
    void *data;
    if (twain->view(object, &x) < 0) return NULL;
    if (x.dtype != TWAIN_FLOAT32 || x.ndim != 1) {
        twain->release(&x);
        PyErr_SetString(PyExc_TypeError, "[prefix] expected a vector of float32");
        return NULL;
    }
    PyObject *result = twain->make(TWAIN_FLOAT32, 1, x.shape, &data);
    if (result != NULL) {
        float sum = 0;
        Py_BEGIN_ALLOW_THREADS
        for (int64_t i = 0; i < x.shape[0]; ++i)
            ((float *)data)[i] = sum += ((const float *)x.data)[i * x.strides[0]];
        Py_END_ALLOW_THREADS
    }
    twain->release(&x);
    return result;
}

static PyMethodDef methods[] = {{"prefix", prefix, METH_O, "Running sums."}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "sums", NULL, -1, methods};
PyMODINIT_FUNC PyInit_sums(void) {
    twain = twain_import();
    return twain == NULL ? NULL : PyModule_Create(&module);
}
"""


def build(folder: str):
    """Compile and import the module. A package would leave this to its build system."""
    source, library = Path(folder) / "sums.c", Path(folder) / f"sums{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(SOURCE)
    python = sysconfig.get_paths()["include"]
    command = [*find_compiler("c"), "-O2", "-shared", "-fPIC", f"-I{extend.include()}", f"-I{python}"]
    subprocess.run([*command, str(source), "-o", str(library)], check=True)
    spec = importlib.util.spec_from_file_location("sums", library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> float:
    with tempfile.TemporaryDirectory() as folder:
        sums = build(folder)
        x = twain.arange(10, dtype=twain.float32)
        found = sums.prefix(x[::-2])
        print(found)
        try:
            sums.prefix(twain.ones((2, 2)))
        except TypeError as error:
            print(error)
        return float(found.tolist() == [9.0, 16.0, 21.0, 24.0, 25.0])


if __name__ == "__main__":
    print(main())
