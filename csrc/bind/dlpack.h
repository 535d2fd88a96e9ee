// DLPack 1.0 exchange. The structures are those of the standard (dmlc.github.io/dlpack), ABI version 1.
#pragma once
#include "bind/python.h"

namespace twain {

struct DLDevice {
  int32_t device_type;
  int32_t device_id;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* manager;
  void (*deleter)(DLManagedTensor*);
};
struct DLVersion {
  uint32_t major;
  uint32_t minor;
};
struct DLManagedTensorVersioned {
  DLVersion version;
  void* manager;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor tensor;
};
inline constexpr int32_t kDLCPU = 1;
inline constexpr uint64_t kDLReadOnly = 1, kDLCopied = 2;

// From a capsule, or an object with __dlpack__. `copy`: True, False or None (only when needed). Throws.
Value dlpack_import(PyObject* source, int device, PyObject* copy);

}  // namespace twain
