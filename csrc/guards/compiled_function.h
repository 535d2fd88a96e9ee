// A compiled function's native side: tries its plans in turn, and runs the first whose guards hold without any Python.
#pragma once
#include "bind/python.h"

namespace twain {

// Adds CompiledFunction and ReplayPlan to the module; false: error set.
bool add_compiled_function(PyObject* module);

}  // namespace twain
