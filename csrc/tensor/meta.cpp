#include "tensor/meta.h"

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "dispatch/error.h"
#include "dispatch/runtime.h"
#include "memory/allocator.h"

namespace twain {
namespace {

struct Interned {
  std::vector<Meta*> buckets = std::vector<Meta*>(1024, nullptr);
  std::vector<uint32_t> free_ids;
  uint32_t next_id = 1;
  size_t count = 0;
};
// Never destroyed: tensors may outlive static destruction at interpreter exit.
Interned& interned() {
  static auto* table = new Interned();
  return *table;
}

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 29);
}

uint64_t hash_of(DType dtype, const int64_t* shape, const int64_t* strides, int ndim, int device) {
  uint64_t hash = mix(static_cast<uint64_t>(dtype) * 977 + static_cast<uint64_t>(ndim), static_cast<uint64_t>(device));
  for (int i = 0; i < ndim; ++i) {
    hash = mix(hash, static_cast<uint64_t>(shape[i]));
    hash = mix(hash, static_cast<uint64_t>(strides[i]));
  }
  return hash;
}

int64_t checked_size(const int64_t* shape, int ndim, int64_t item) {
  int64_t size = 1;
  bool empty = false;
  for (int i = 0; i < ndim; ++i) {
    if (shape[i] < 0)
      throw Error(ErrorKind::value, "[meta] expected dimensions >= 0, got " + std::to_string(shape[i]) +
                                        " in position " + std::to_string(i));
    empty = empty || shape[i] == 0;
  }
  if (empty) return 0;
  const int64_t limit = (int64_t{1} << 56) / item;
  for (int i = 0; i < ndim; ++i) {
    if (shape[i] > limit / size) throw Error(ErrorKind::value, "[meta] the shape has more elements than memory can hold");
    size *= shape[i];
  }
  return size;
}

// Dimensions of size 1 and arrays without elements get the strides that a row-major array would have there,
// so that equal layouts have equal descriptions.
void canonical_strides(const int64_t* shape, const int64_t* strides, int ndim, bool empty, int64_t* result) {
  int64_t expected = 1;
  for (int i = ndim; i-- > 0;) {
    result[i] = (strides == nullptr || shape[i] == 1 || empty) ? expected : strides[i];
    expected = result[i] * (shape[i] == 0 ? 1 : shape[i]);
  }
}

void grow(Interned& table) {
  std::vector<Meta*> buckets(table.buckets.size() * 2, nullptr);
  for (Meta* meta : table.buckets)
    while (meta != nullptr) {
      Meta* next = meta->next;
      Meta*& bucket = buckets[meta->hash & (buckets.size() - 1)];
      meta->next = bucket;
      bucket = meta;
      meta = next;
    }
  table.buckets.swap(buckets);
}

Meta* make(DType dtype, const int64_t* shape, const int64_t* strides, int ndim, int device, int64_t size) {
  const size_t array = sizeof(int64_t) * static_cast<size_t>(ndim);
  auto* block = static_cast<char*>(::operator new(sizeof(Meta) + 2 * array));
  auto* meta = new (block) Meta{};
  auto* dimensions = reinterpret_cast<int64_t*>(block + sizeof(Meta));
  if (ndim > 0) {
    std::memcpy(dimensions, shape, array);
    std::memcpy(dimensions + ndim, strides, array);
  }
  meta->references = 1;
  meta->dtype = dtype;
  meta->ndim = static_cast<uint8_t>(ndim);
  meta->device = static_cast<uint8_t>(device);
  meta->differentiable = info(dtype).differentiable;
  meta->size = size;
  meta->nbytes = size * info(dtype).itemsize;
  meta->shape = dimensions;
  meta->strides = dimensions + ndim;
  meta->contiguous = true;
  int64_t expected = 1, low = 0, high = 0;
  for (int i = ndim; i-- > 0;) {
    meta->contiguous = meta->contiguous && strides[i] == expected;
    expected *= shape[i] == 0 ? 1 : shape[i];
    if (size != 0) (strides[i] < 0 ? low : high) += strides[i] * (shape[i] - 1);
  }
  const int64_t item = info(dtype).itemsize;
  meta->lowest = low * item;
  meta->extent = size == 0 ? 0 : (high - low + 1) * item;
  meta->size_class = size_class_of(static_cast<size_t>(meta->extent));
  return meta;
}

}  // namespace

Meta* meta_intern(DType dtype, const int64_t* shape, const int64_t* strides, int ndim, int device) {
  if (ndim > kMaxDimensions)
    throw Error(ErrorKind::value, "[meta] expected at most 64 dimensions, got " + std::to_string(ndim));
  const int64_t size = checked_size(shape, ndim, info(dtype).itemsize);
  int64_t canonical[kMaxDimensions];
  canonical_strides(shape, strides, ndim, size == 0, canonical);
  Interned& table = interned();
  const uint64_t hash = hash_of(dtype, shape, canonical, ndim, device);
  const size_t array = sizeof(int64_t) * static_cast<size_t>(ndim);
  for (Meta* meta = table.buckets[hash & (table.buckets.size() - 1)]; meta != nullptr; meta = meta->next) {
    if (meta->hash == hash && meta->dtype == dtype && meta->ndim == ndim && meta->device == device &&
        // without dimensions `shape` may be null, which memcmp must not be given
        (ndim == 0 ||
         (std::memcmp(meta->shape, shape, array) == 0 && std::memcmp(meta->strides, canonical, array) == 0))) {
      meta_retain(meta);
      return meta;
    }
  }
  if (table.count >= table.buckets.size()) grow(table);
  Meta* meta = make(dtype, shape, canonical, ndim, device, size);
  meta->hash = hash;
  if (table.free_ids.empty()) {
    meta->id = table.next_id++;
  } else {
    meta->id = table.free_ids.back();
    table.free_ids.pop_back();
  }
  Meta*& bucket = table.buckets[hash & (table.buckets.size() - 1)];
  meta->next = bucket;
  bucket = meta;
  ++table.count;
  return meta;
}

void meta_destroy(Meta* meta) {
  Interned& table = interned();
  Meta** link = &table.buckets[meta->hash & (table.buckets.size() - 1)];
  while (*link != meta) link = &(*link)->next;
  *link = meta->next;
  table.free_ids.push_back(meta->id);
  --table.count;
  if (meta->python_shape != nullptr) runtime.release_object(meta->python_shape);
  ::operator delete(meta);
}

size_t meta_count() { return interned().count; }

std::string describe(const Meta* meta) {
  std::string text = std::string(info(meta->dtype).name) + "(";
  for (int i = 0; i < meta->ndim; ++i) text += (i > 0 ? ", " : "") + std::to_string(meta->shape[i]);
  return text + ")";
}

bool same_shape(const Meta* a, const Meta* b) {
  return a->ndim == b->ndim && std::memcmp(a->shape, b->shape, sizeof(int64_t) * a->ndim) == 0;
}

}  // namespace twain
