// How single values are checked, shared by building, evaluating and explaining.
#pragma once

#include <Python.h>

#include <cstdint>

#include "guards/guard_tree.h"

namespace twain {

Equality equality_of(PyObject* expected);
// An int that fits, or the bits of a float; else 0.
int64_t number_of(PyObject* expected);
// Length of a list, tuple, dict, set, str or bytes; -1 for anything else.
Py_ssize_t length_of(PyObject* value);
// Whether `dict` is one and has the keys of the tuple `expected`, in that order.
bool has_keys(PyObject* dict, PyObject* expected);

}  // namespace twain
