// x[key] for keys of ints, slices, None and Ellipsis that were met before on a tensor of the same description: straight
// to the op and attrs that indexing worked out then.
#pragma once
#include "bind/python.h"

namespace twain {

// The result, or null without an error: not known, or not on the short path.
PyObject* remembered_index(PyObject* tensor, PyObject* key);

void forget_indices();

extern PyMethodDef index_functions[];  // of the module: remember_index

}  // namespace twain
