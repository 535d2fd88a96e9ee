// The parts of the binding that stand on their own; module.cpp calls each once.
#pragma once

#include <nanobind/nanobind.h>

namespace twain {
class GuardTree;
}

void bind_threads(nanobind::module_& module);
void bind_object_loader(nanobind::module_& module);
void bind_guards(nanobind::module_& module);

// The tree inside a _core.GuardTree, which owns it; null for any other object.
twain::GuardTree* guard_tree_of(PyObject* object);
