// A block of memory with a plain reference count; every count is touched under the interpreter lock only.
#pragma once
#include <cstddef>
#include <cstdint>

namespace twain {

struct Storage {
  int32_t references;
  uint16_t size_class;
  uint8_t device;
  bool borrowed;  // someone else's memory: never written, never donated, copied when the tape saves it
  char* data;
  size_t capacity;
  Storage* next;                  // link in the allocator's free list
  void (*release_owner)(void*);   // borrowed memory: gives it back
  void* owner;
};

void storage_destroy(Storage* storage);  // the last reference is gone

inline void storage_retain(Storage* storage) { ++storage->references; }

inline void storage_release(Storage* storage) {
  if (--storage->references == 0) storage_destroy(storage);
}

// Only its one holder may write a storage in place.
inline bool storage_writable(const Storage* storage) { return storage->references == 1 && !storage->borrowed; }

}  // namespace twain
