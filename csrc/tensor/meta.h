// Interned description of an array: dtype, shape, strides, device. Equal descriptions are one object, so
// comparing them is comparing pointers, and a call's signature is a few small integers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "tensor/dtype.h"

namespace twain {

struct Meta {
  uint32_t id;  // never 0; 0 stands for an absent argument. Reused after the description is gone.
  int32_t references;
  DType dtype;
  uint8_t ndim;
  uint8_t device;
  bool contiguous;
  bool differentiable;
  uint16_t size_class;     // of a fresh storage for it
  int64_t size;            // elements
  int64_t nbytes;          // elements times item size
  int64_t lowest;          // first byte touched, relative to the data pointer: below 0 for negative strides
  int64_t extent;          // bytes from the first to behind the last touched
  const int64_t* shape;
  const int64_t* strides;  // in elements
  void* python_shape;      // cached by the binding: tuple, owned
  void* python_meta;       // cached by the binding: wrapper, not owned
  uint64_t hash;
  Meta* next;              // in the same bucket
};

inline constexpr int kMaxDimensions = 64;

// Returns the one Meta of this description, with a new reference. `strides` may be null: row-major.
// Throws Error for sizes that are negative or too large to address.
Meta* meta_intern(DType dtype, const int64_t* shape, const int64_t* strides, int ndim, int device);
void meta_destroy(Meta* meta);
size_t meta_count();

inline void meta_retain(Meta* meta) { ++meta->references; }
inline void meta_release(Meta* meta) {
  if (--meta->references == 0) [[unlikely]] meta_destroy(meta);
}

inline int64_t itemsize(const Meta* meta) { return info(meta->dtype).itemsize; }
std::string describe(const Meta* meta);  // as float32(2, 3), for messages
bool same_shape(const Meta* a, const Meta* b);

}  // namespace twain
