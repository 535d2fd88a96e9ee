// Reading and writing single elements, and the few loops over memory that the core does itself.
#pragma once
#include <complex>

#include "tensor/value.h"

namespace twain {

struct Scalar {
  enum Kind : uint8_t { boolean, integer, unsigned_integer, real, complex_number } kind;
  int64_t i = 0;
  uint64_t u = 0;
  double r = 0;
  std::complex<double> c;
};

Scalar read_scalar(DType dtype, const void* element);

// A 0-d value of a weak dtype, as an operator makes from a Python scalar.
Value weak_int(int64_t number);
Value weak_float(double number);
Value weak_bool(bool truth);
Value weak_complex(std::complex<double> number);

Value empty_value(Meta* meta);              // fresh storage, contents undefined
Value filled(Meta* meta, double number);    // fresh, every element set
Value owned_copy(const Value& value);       // the same bytes, strides and mark in a storage of its own
Value contiguous_copy(const Value& value);  // row-major
bool has_nan(const Value& value);           // false for dtypes without NaN

// Calls visit(const char* element) for every element in row-major order.
template <typename Visit>
void for_each_element(const Meta* meta, const char* data, Visit visit) {
  if (meta->size == 0) return;
  const int64_t item = itemsize(meta);
  int64_t index[kMaxDimensions] = {};
  const int last = meta->ndim - 1;
  for (;;) {
    visit(data);
    int axis = last;
    for (; axis >= 0; --axis) {
      data += meta->strides[axis] * item;
      if (++index[axis] < meta->shape[axis]) break;
      data -= meta->strides[axis] * meta->shape[axis] * item;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

}  // namespace twain
