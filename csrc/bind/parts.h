// The parts of the binding that stand on their own; module.cpp calls each once.
#pragma once

#include <nanobind/nanobind.h>

void bind_threads(nanobind::module_& module);
void bind_object_loader(nanobind::module_& module);
void bind_guards(nanobind::module_& module);
