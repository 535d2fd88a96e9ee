// A fixed-length array that lies on the stack when it is short.
#pragma once
#include <cstddef>
#include <memory>
#include <new>

namespace twain {

template <typename T, size_t kInline>
class SmallArray {
 public:
  SmallArray() = default;
  explicit SmallArray(size_t size) { resize(size); }
  ~SmallArray() { clear(); }
  SmallArray(const SmallArray&) = delete;
  SmallArray& operator=(const SmallArray&) = delete;

  // Drops what it held and makes `size` value-initialised elements.
  void resize(size_t size) {
    clear();
    if (size > kInline) data_ = static_cast<T*>(::operator new(size * sizeof(T)));
    size_ = size;
    std::uninitialized_value_construct_n(data_, size);
  }
  void clear() {
    std::destroy_n(data_, size_);
    if (data_ != inline_data()) ::operator delete(data_);
    data_ = inline_data();
    size_ = 0;
  }
  T* data() { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }

 private:
  T* inline_data() { return reinterpret_cast<T*>(inline_); }
  alignas(T) std::byte inline_[kInline * sizeof(T)];
  T* data_ = inline_data();
  size_t size_ = 0;
};

}  // namespace twain
