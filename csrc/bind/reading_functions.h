// Functions of the module that look at the values of tensors: ranges of indices, and results whose shape is data.
#pragma once
#include "bind/python.h"

namespace twain {

extern PyMethodDef reading_functions[];  // of the module: index_range, index_outside, chosen, positions, bins

// Whether all elements of an integer tensor lie in [low, high) or are `except`. False of other dtypes.
bool is_inside_or(const Value& value, int64_t low, int64_t high, int64_t except);

}  // namespace twain
