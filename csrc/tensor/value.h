// An immutable array: where its elements lie, what they mean, and which tape node made it.
#pragma once
#include <utility>

#include "memory/storage.h"
#include "tape/node_layout.h"
#include "tensor/meta.h"

namespace twain {

struct Value {
  Storage* storage = nullptr;  // null: no value (an absent argument)
  Meta* meta = nullptr;
  char* data = nullptr;        // first element, somewhere in the storage
  Node* node = nullptr;        // null: needs no gradient
  uint32_t output = 0;         // which output of that node
  uint64_t trace = 0;          // the recorder's mark: recording number above, index below

  Value() = default;
  // Takes over one reference each to storage and meta.
  Value(Storage* owned_storage, Meta* owned_meta, char* first) : storage(owned_storage), meta(owned_meta), data(first) {}
  Value(const Value& other)
      : storage(other.storage), meta(other.meta), data(other.data), node(other.node), output(other.output),
        trace(other.trace) {
    if (storage != nullptr) {
      storage_retain(storage);
      meta_retain(meta);
    }
    if (node != nullptr) node_retain(node);
  }
  Value(Value&& other) noexcept
      : storage(other.storage), meta(other.meta), data(other.data), node(other.node), output(other.output),
        trace(other.trace) {
    other.storage = nullptr;
    other.node = nullptr;
  }
  Value& operator=(Value other) noexcept {
    swap(other);
    return *this;
  }
  ~Value() { reset(); }

  void swap(Value& other) noexcept {
    std::swap(storage, other.storage);
    std::swap(meta, other.meta);
    std::swap(data, other.data);
    std::swap(node, other.node);
    std::swap(output, other.output);
    std::swap(trace, other.trace);
  }
  void reset() {
    if (storage != nullptr) {
      Storage* old_storage = std::exchange(storage, nullptr);
      storage_release(old_storage);
      meta_release(meta);
    }
    drop_node();
  }
  void drop_node() {
    if (node != nullptr) node_release(std::exchange(node, nullptr));
  }
  // The same array, unknown to the tape.
  Value detached() const {
    if (storage == nullptr) return {};
    storage_retain(storage);
    meta_retain(meta);
    Value result(storage, meta, data);
    result.trace = trace;
    return result;
  }
  explicit operator bool() const { return storage != nullptr; }
};

}  // namespace twain
