// What a user holds: a mutable cell with an immutable value in it. Identity, .grad and hooks belong to the handle.
#pragma once
#include "tensor/value.h"

namespace twain {

struct Handle {
  Value value;
  Handle* grad = nullptr;     // owned through the binding's object that this handle is part of
  bool retains_grad = false;  // registered in value.node's extra
};

}  // namespace twain
