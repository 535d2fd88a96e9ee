// Element types, numbered as on the Python side.
#pragma once
#include <cstdint>

namespace twain {

enum class DType : uint8_t {
  boolean, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64,
  complex64, complex128,
  // Python scalars: 0-d values that take the dtype of their partner.
  weak_int, weak_float, weak_complex, weak_bool,
};
inline constexpr int kDTypeCount = 19;

struct DTypeInfo {
  const char* name;
  uint8_t itemsize;
  bool differentiable;  // floating or complex, and not weak
  const char* buffer_format;  // Python's struct notation; null: it has none
};

inline constexpr DTypeInfo kDTypes[kDTypeCount] = {
    {"bool", 1, false, "?"},        {"int8", 1, false, "b"},       {"int16", 2, false, "h"},
    {"int32", 4, false, "i"},       {"int64", 8, false, "q"},      {"uint8", 1, false, "B"},
    {"uint16", 2, false, "H"},      {"uint32", 4, false, "I"},     {"uint64", 8, false, "Q"},
    {"float16", 2, true, "e"},      {"bfloat16", 2, true, nullptr}, {"float32", 4, true, "f"},
    {"float64", 8, true, "d"},      {"complex64", 8, true, "Zf"},  {"complex128", 16, true, "Zd"},
    {"weak_int", 8, false, "q"},    {"weak_float", 8, false, "d"}, {"weak_complex", 16, false, "Zd"},
    {"weak_bool", 1, false, "?"},
};

inline const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<int>(dtype)]; }
inline bool is_weak(DType dtype) { return dtype >= DType::weak_int; }

}  // namespace twain
