#include "memory/allocator.h"

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "dispatch/error.h"

#if defined(_WIN32)
#include <malloc.h>
#elif defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace twain {

Allocator allocator;

uint16_t size_class_of(size_t nbytes) {
  if (nbytes <= 1024) return nbytes == 0 ? 0 : static_cast<uint16_t>((nbytes - 1) / 64);
  const int octave = 63 - std::countl_zero(nbytes - 1);  // 2^octave <= nbytes - 1 < 2^(octave + 1)
  if (nbytes <= kBigBlock) {
    const size_t step = ((nbytes - 1) >> (octave - 2)) & 3;
    return static_cast<uint16_t>(16 + (octave - 10) * 4 + step);
  }
  const size_t step = ((nbytes - 1) >> (octave - 3)) & 7;
  return static_cast<uint16_t>(kFirstBigClass + (octave - 20) * 8 + step);
}

size_t size_class_capacity(uint16_t size_class) {
  if (size_class < 16) return (size_class + size_t{1}) * 64;
  if (size_class < kFirstBigClass) {
    const int octave = 10 + (size_class - 16) / 4;
    return (size_t{1} << octave) + ((size_class - 16) % 4 + size_t{1}) * (size_t{1} << (octave - 2));
  }
  const int octave = 20 + (size_class - kFirstBigClass) / 8;
  const size_t capacity =
      (size_t{1} << octave) + ((size_class - kFirstBigClass) % 8 + size_t{1}) * (size_t{1} << (octave - 3));
  return (capacity + kHugePage - 1) & ~(kHugePage - 1);
}

namespace {

#if defined(__unix__) || defined(__APPLE__)
// Maps more than asked, then cuts head and tail so that what remains is aligned to a huge page.
char* map_big(size_t capacity) {
  const size_t wanted = capacity + kHugePage;
  void* mapped = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto start = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t aligned = (start + kHugePage - 1) & ~(kHugePage - 1);
  if (aligned > start) munmap(mapped, aligned - start);
  const uintptr_t end = aligned + capacity;
  if (start + wanted > end) munmap(reinterpret_cast<void*>(end), start + wanted - end);
#if defined(MADV_HUGEPAGE)
  madvise(reinterpret_cast<void*>(aligned), capacity, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<char*>(aligned);
}
void unmap_big(char* data, size_t capacity) { munmap(data, capacity); }
#endif

char* system_allocate(size_t capacity, uint16_t size_class) {
#if defined(_WIN32)
  (void)size_class;
  return static_cast<char*>(_aligned_malloc(capacity, kAlignment));
#else
  if (size_class >= kFirstBigClass) return map_big(capacity);
  return static_cast<char*>(std::aligned_alloc(kAlignment, capacity));
#endif
}

void system_free(Storage* storage) {
#if defined(_WIN32)
  _aligned_free(storage->data);
#else
  if (storage->size_class >= kFirstBigClass)
    unmap_big(storage->data, storage->capacity);
  else
    std::free(storage->data);
#endif
  allocator.held -= storage->capacity;
  delete storage;
}

void drop_list(uint16_t size_class, size_t enough) {
  Storage*& list = allocator.free_lists[size_class];
  while (list != nullptr && allocator.cached > enough) {
    Storage* storage = list;
    list = storage->next;
    allocator.cached -= storage->capacity;
    system_free(storage);
  }
}

size_t default_cached_bound() {
#if defined(__linux__)
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return std::max<size_t>(physical / 8, size_t{256} << 20);
#else
  return size_t{1} << 30;
#endif
}

std::string bytes_text(size_t nbytes) {
  char text[64];
  if (nbytes < (size_t{1} << 20))
    std::snprintf(text, sizeof text, "%zu bytes", nbytes);
  else if (nbytes < (size_t{1} << 30))
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(nbytes) / (1 << 20));
  else
    std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(nbytes) / (1 << 30));
  return text;
}

[[noreturn]] void out_of_memory(size_t nbytes, int device) {
  size_t in_use = 0;
  for (const Account& account : allocator.accounts) in_use += account.in_use;
  std::string text = "[memory] cannot allocate " + bytes_text(nbytes) + " on cpu:" + std::to_string(device) +
                     ": tensors hold " + bytes_text(in_use);
  if (allocator.cap != 0)
    text += ", the cap is " + bytes_text(allocator.cap) + " (raise it with set_memory_cap)";
  else
    text += " and the system has no more to give";
  throw OutOfMemory(text + ". Free tensors you no longer need, or use smaller batches.");
}

}  // namespace

Storage* allocate_fresh(size_t nbytes, uint16_t size_class, int device) {
  if (size_class >= kClassCount) out_of_memory(nbytes, device);
  const size_t capacity = size_class_capacity(size_class);
  char* data = nullptr;
  for (int attempt = 0; attempt < 2 && data == nullptr; ++attempt) {
    if (attempt == 1) empty_cache();
    if (allocator.cap != 0 && allocator.held + capacity > allocator.cap) continue;
    data = system_allocate(capacity, size_class);
  }
  if (data == nullptr) out_of_memory(nbytes, device);
  allocator.held += capacity;
  auto* storage = new Storage{1, size_class, static_cast<uint8_t>(device), false, data, capacity, nullptr, nullptr,
                              nullptr};
  account_for(storage);
  return storage;
}

Storage* borrow_memory(void* data, size_t nbytes, int device, void* owner, void (*release_owner)(void*)) {
  return new Storage{1,      kBorrowedClass, static_cast<uint8_t>(device), true, static_cast<char*>(data),
                     nbytes, nullptr,        release_owner,                owner};
}

void storage_destroy(Storage* storage) {
  if (storage->size_class == kBorrowedClass) [[unlikely]] {
    if (storage->release_owner != nullptr) storage->release_owner(storage->owner);
    delete storage;
    return;
  }
  Account& account = allocator.accounts[storage->device];
  account.in_use -= storage->capacity;
  --account.blocks;
  storage->next = allocator.free_lists[storage->size_class];
  allocator.free_lists[storage->size_class] = storage;
  allocator.cached += storage->capacity;
  if (allocator.cached > allocator.cached_bound) [[unlikely]] {
    if (allocator.cached_bound == 0) allocator.cached_bound = default_cached_bound();
    // Blocks of other sizes are more likely stale than the size that is in use right now.
    for (uint16_t i = kClassCount; i-- > 0 && allocator.cached > allocator.cached_bound;)
      if (i != storage->size_class) drop_list(i, allocator.cached_bound);
    drop_list(storage->size_class, allocator.cached_bound);
  }
}

void empty_cache() {
  for (uint16_t i = 0; i < kClassCount; ++i) drop_list(i, 0);
}

void set_cached_bound(size_t nbytes) {
  allocator.cached_bound = std::max<size_t>(nbytes, 1);
  for (uint16_t i = kClassCount; i-- > 0 && allocator.cached > nbytes;) drop_list(i, nbytes);
}

}  // namespace twain
