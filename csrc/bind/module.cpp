// Entry point of the extension module twain._core.
#include <nanobind/nanobind.h>

#include "bind/module_parts.h"
#include "bind/parts.h"
#include "bind/profiler.h"
#include "guards/compiled_function.h"

NB_MODULE(_core, module) {
  nanobind::set_leak_warnings(false);  // code objects live as long as the caches that hold them
  module.doc() = "The native core of twain.";
  twain::install_runtime();
  PyObject* raw = module.ptr();
  if (!twain::add_meta_type(raw) || !twain::add_program_type(raw) || !twain::add_op_type(raw) || !twain::add_remembered_type(raw) ||
      !twain::add_tensor_type(raw) || !twain::add_tape(raw) || !twain::add_callbacks(raw) || !twain::add_memory(raw) ||
      !twain::add_control_type(raw) || !twain::add_update_memory(raw) || !twain::add_batches(raw) || !twain::add_c_api(raw) || !twain::add_compiled_function(raw) ||
      PyModule_AddFunctions(raw, twain::profiler_functions) != 0)
    throw nanobind::python_error();
  bind_threads(module);
  bind_object_loader(module);
  bind_guards(module);
}
