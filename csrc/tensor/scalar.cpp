#include "tensor/scalar.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "memory/allocator.h"

namespace twain {
namespace {

template <typename T>
T load(const void* element) {
  T number;
  std::memcpy(&number, element, sizeof number);
  return number;
}

double half_to_double(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  double magnitude;
  if (exponent == 31)
    magnitude = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(fraction, -24);
  else
    magnitude = std::ldexp(fraction + 1024, exponent - 25);
  return std::copysign(magnitude, bits & 0x8000 ? -1.0 : 1.0);
}

double bfloat_to_double(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Round to nearest, ties to even; only used for the small exact numbers of fills, so no NaN handling.
uint16_t double_to_half(double number) {
  int exponent;
  const double fraction = std::frexp(std::fabs(number), &exponent);  // in [0.5, 1)
  uint16_t bits = 0;
  if (fraction != 0) {
    if (exponent > 16)
      bits = 0x7C00;
    else if (exponent < -13)
      bits = static_cast<uint16_t>(std::nearbyint(std::ldexp(fraction, exponent + 24)));
    else
      bits = static_cast<uint16_t>(((exponent + 14) << 10) + static_cast<int>(std::nearbyint(fraction * 2048)) - 1024);
  }
  return static_cast<uint16_t>(bits | (std::signbit(number) ? 0x8000 : 0));
}

uint16_t double_to_bfloat(double number) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(number));
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

Meta* weak_meta(DType dtype) {
  static Meta* metas[kDTypeCount] = {};
  Meta*& meta = metas[static_cast<int>(dtype)];
  if (meta == nullptr) meta = meta_intern(dtype, nullptr, nullptr, 0, 0);  // kept for ever
  return meta;
}

template <typename T>
Value weak(DType dtype, T number) {
  Meta* meta = weak_meta(dtype);
  Value value = empty_value(meta);
  std::memcpy(value.data, &number, sizeof number);
  return value;
}

template <typename T>
void fill(Value& value, T number) {
  auto* elements = reinterpret_cast<T*>(value.data);
  const int64_t count = value.meta->extent / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; ++i) elements[i] = number;
}

}  // namespace

Scalar read_scalar(DType dtype, const void* element) {
  Scalar scalar{};
  auto integer = [&](int64_t number) { scalar.kind = Scalar::integer, scalar.i = number; };
  auto natural = [&](uint64_t number) { scalar.kind = Scalar::unsigned_integer, scalar.u = number; };
  auto real = [&](double number) { scalar.kind = Scalar::real, scalar.r = number; };
  auto complex = [&](std::complex<double> number) { scalar.kind = Scalar::complex_number, scalar.c = number; };
  switch (dtype) {
    case DType::boolean:
    case DType::weak_bool: scalar.kind = Scalar::boolean; scalar.i = load<uint8_t>(element) != 0; break;
    case DType::int8: integer(load<int8_t>(element)); break;
    case DType::int16: integer(load<int16_t>(element)); break;
    case DType::int32: integer(load<int32_t>(element)); break;
    case DType::int64:
    case DType::weak_int: integer(load<int64_t>(element)); break;
    case DType::uint8: natural(load<uint8_t>(element)); break;
    case DType::uint16: natural(load<uint16_t>(element)); break;
    case DType::uint32: natural(load<uint32_t>(element)); break;
    case DType::uint64: natural(load<uint64_t>(element)); break;
    case DType::float16: real(half_to_double(load<uint16_t>(element))); break;
    case DType::bfloat16: real(bfloat_to_double(load<uint16_t>(element))); break;
    case DType::float32: real(static_cast<double>(load<float>(element))); break;
    case DType::float64:
    case DType::weak_float: real(load<double>(element)); break;
    case DType::complex64: complex(std::complex<double>(load<std::complex<float>>(element))); break;
    case DType::complex128:
    case DType::weak_complex: complex(load<std::complex<double>>(element)); break;
  }
  return scalar;
}

Value weak_int(int64_t number) { return weak(DType::weak_int, number); }
Value weak_float(double number) { return weak(DType::weak_float, number); }
Value weak_bool(bool truth) { return weak(DType::weak_bool, static_cast<uint8_t>(truth)); }
Value weak_complex(std::complex<double> number) { return weak(DType::weak_complex, number); }

Value empty_value(Meta* meta) {
  Storage* storage = allocate(static_cast<size_t>(meta->extent), meta->size_class, meta->device);
  meta_retain(meta);
  return {storage, meta, storage->data - meta->lowest};
}

Value filled(Meta* meta, double number) {
  Value value = empty_value(meta);
  Value block(value.storage, value.meta, value.storage->data);  // fill the whole extent, whatever the strides
  value.storage = nullptr;
  switch (meta->dtype) {
    case DType::boolean:
    case DType::weak_bool: fill(block, static_cast<uint8_t>(number != 0)); break;
    case DType::int8:
    case DType::uint8: fill(block, static_cast<int8_t>(number)); break;
    case DType::int16:
    case DType::uint16: fill(block, static_cast<int16_t>(number)); break;
    case DType::int32:
    case DType::uint32: fill(block, static_cast<int32_t>(number)); break;
    case DType::int64:
    case DType::uint64:
    case DType::weak_int: fill(block, static_cast<int64_t>(number)); break;
    case DType::float16: fill(block, double_to_half(number)); break;
    case DType::bfloat16: fill(block, double_to_bfloat(number)); break;
    case DType::float32: fill(block, static_cast<float>(number)); break;
    case DType::float64:
    case DType::weak_float: fill(block, number); break;
    case DType::complex64: fill(block, std::complex<float>(static_cast<float>(number))); break;
    case DType::complex128:
    case DType::weak_complex: fill(block, std::complex<double>(number)); break;
  }
  block.data -= meta->lowest;
  return block;
}

Value owned_copy(const Value& value) {
  Value copy = empty_value(value.meta);
  std::memcpy(copy.storage->data, value.data + value.meta->lowest, static_cast<size_t>(value.meta->extent));
  copy.trace = value.trace;
  return copy;
}

Value contiguous_copy(const Value& value) {
  const Meta* source = value.meta;
  Meta* meta = meta_intern(source->dtype, source->shape, nullptr, source->ndim, source->device);
  Value copy;
  try {
    copy = empty_value(meta);
  } catch (...) {
    meta_release(meta);
    throw;
  }
  meta_release(meta);
  if (source->contiguous) {
    std::memcpy(copy.data, value.data, static_cast<size_t>(source->nbytes));
    return copy;
  }
  const auto item = static_cast<size_t>(itemsize(source));
  char* target = copy.data;
  for_each_element(source, value.data, [&](const char* element) {
    std::memcpy(target, element, item);
    target += item;
  });
  return copy;
}

bool has_nan(const Value& value) {
  if (!value || !info(value.meta->dtype).differentiable) return false;
  bool found = false;
  for_each_element(value.meta, value.data, [&](const char* element) {
    const Scalar scalar = read_scalar(value.meta->dtype, element);
    found = found || (scalar.kind == Scalar::real ? std::isnan(scalar.r)
                                                  : std::isnan(scalar.c.real()) || std::isnan(scalar.c.imag()));
  });
  return found;
}

}  // namespace twain
