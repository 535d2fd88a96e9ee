// Parts of the module besides its types; each adds its functions. False: error set.
#pragma once
#include "bind/python.h"

namespace twain {
bool add_tape(PyObject* module);
bool add_callbacks(PyObject* module);
bool add_memory(PyObject* module);
bool add_batches(PyObject* module);
bool add_control_type(PyObject* module);
bool add_update_memory(PyObject* module);
bool add_c_api(PyObject* module);
}  // namespace twain
