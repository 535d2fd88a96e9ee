// Caching allocator: blocks are sorted into size classes, and freed blocks wait in one list per class.
//
// Small blocks (to 1 MB) come from the C library, 64-byte aligned. Big blocks are mapped 2 MB-aligned and ask for
// huge pages. What waits in the lists is bounded; what the process holds can be capped.
#pragma once
#include <algorithm>
#include <bit>

#include "memory/storage.h"

namespace twain {

inline constexpr size_t kAlignment = 64;
inline constexpr size_t kBigBlock = size_t{1} << 20;
inline constexpr size_t kHugePage = size_t{2} << 20;
inline constexpr int kDeviceCount = 16;
inline constexpr uint16_t kBorrowedClass = 0xFFFF;
// 16 classes of 64 bytes each to 1 KB, then 4 per doubling to 1 MB, then 8 per doubling.
inline constexpr uint16_t kFirstBigClass = 16 + 40;
inline constexpr uint16_t kClassCount = kFirstBigClass + 8 * 40;

uint16_t size_class_of(size_t nbytes);
size_t size_class_capacity(uint16_t size_class);

struct Account {  // of one device, in bytes
  size_t in_use = 0;
  size_t peak = 0;
  size_t blocks = 0;
};

struct Allocator {
  Storage* free_lists[kClassCount] = {};
  Account accounts[kDeviceCount];
  size_t cached = 0;        // bytes waiting in the free lists
  size_t cached_bound = 0;  // 0: not asked for yet
  size_t held = 0;          // bytes the process has from the system
  size_t cap = 0;           // 0: none
};
extern Allocator allocator;

Storage* allocate_fresh(size_t nbytes, uint16_t size_class, int device);
Storage* borrow_memory(void* data, size_t nbytes, int device, void* owner, void (*release_owner)(void*));
void empty_cache();
void set_cached_bound(size_t nbytes);

inline void account_for(Storage* storage) {
  Account& account = allocator.accounts[storage->device];
  account.in_use += storage->capacity;
  account.peak = std::max(account.peak, account.in_use);
  ++account.blocks;
}

// Returns a block with one reference, its contents undefined; throws OutOfMemory.
inline Storage* allocate(size_t nbytes, uint16_t size_class, int device) {
  Storage* storage = allocator.free_lists[size_class];
  if (storage == nullptr) [[unlikely]] return allocate_fresh(nbytes, size_class, device);
  allocator.free_lists[size_class] = storage->next;
  allocator.cached -= storage->capacity;
  storage->references = 1;
  storage->device = static_cast<uint8_t>(device);
  account_for(storage);
  return storage;
}

}  // namespace twain
