// Functions of the module that look at the values of tensors: ranges of indices, and results whose shape is data.
#pragma once
#include "bind/python.h"

namespace twain {

extern PyMethodDef reading_functions[];  // of the module: index_range, index_outside, chosen, positions, bins

}  // namespace twain
