// What guards ask about tensors and modes. The binding of tensors fills this in once, so that guards need not know it.
#pragma once

#include <Python.h>

#include <cstdint>

namespace twain {

struct TensorFacts {
  const void* meta;  // equal descriptions are one object, so this is compared by address
  bool requires_grad;
  bool has_grad;
  bool is_leaf;  // not the result of a recorded op, and without hooks
};

struct TensorProbe {
  PyTypeObject* tensor_type = nullptr;               // exactly this type; subclasses are something else
  TensorFacts (*facts)(PyObject* tensor) = nullptr;  // `tensor` is exactly of tensor_type; must not fail
  // The address TensorFacts.meta has for this Meta object; null if it is no Meta.
  const void* (*meta_address)(PyObject* meta) = nullptr;
  // Whether all elements of a tensor lie in [low, high), or are `except`; what is no integer tensor fails.
  bool (*inside)(PyObject* tensor, int64_t low, int64_t high, int64_t except) = nullptr;
  // The switches of the calling thread that change what a function computes: a sum of Mode.
  uint64_t (*modes)() = nullptr;
};

enum Mode : uint64_t { kModeGrad = 1, kModeAnomaly = 2 };
inline constexpr int kModeAutocastShift = 2;  // six bits: the dtype of autocast
inline constexpr int kModeDeviceShift = 8;    // from this bit on: the default device

extern TensorProbe tensor_probe;

}  // namespace twain
