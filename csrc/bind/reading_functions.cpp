#include "bind/reading_functions.h"

#include <atomic>
#include <cstring>
#include <limits>
#include <type_traits>

#include "bind/call_memory.h"
#include "dispatch/error.h"
#include "tensor/scalar.h"

namespace twain {
namespace {

// Calls visit.template operator()<T>() for the C++ type of an integer dtype.
template <typename Visit>
auto with_integer(DType dtype, const char* function, Visit&& visit) {
  switch (dtype) {
    case DType::int8: return visit.template operator()<int8_t>();
    case DType::int16: return visit.template operator()<int16_t>();
    case DType::int32: return visit.template operator()<int32_t>();
    case DType::int64: return visit.template operator()<int64_t>();
    case DType::uint8: return visit.template operator()<uint8_t>();
    case DType::uint16: return visit.template operator()<uint16_t>();
    case DType::uint32: return visit.template operator()<uint32_t>();
    case DType::uint64: return visit.template operator()<uint64_t>();
    default: throw Error(ErrorKind::type, std::string("[") + function + "] expected an integer tensor");
  }
}

template <typename T>
const T* elements_of(const char* data) {
  return static_cast<const T*>(static_cast<const void*>(data));
}

// ----------------------------------------------------------------------------------------------------------- ranges
template <typename T>
void widen_range(const Meta* meta, const char* data, int axis, T& low, T& high) {
  if (axis == meta->ndim || (axis == 0 && meta->contiguous)) {
    const int64_t count = axis == meta->ndim ? 1 : meta->size;
    const T* elements = elements_of<T>(data);
    T least = low, most = high;
    for (int64_t i = 0; i < count; ++i) {
      least = elements[i] < least ? elements[i] : least;
      most = elements[i] > most ? elements[i] : most;
    }
    low = least;
    high = most;
    return;
  }
  const int64_t count = meta->strides[axis] == 0 && meta->shape[axis] > 0 ? 1 : meta->shape[axis];  // repeated
  const int64_t step = meta->strides[axis] * static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; ++i) widen_range(meta, data + i * step, axis + 1, low, high);
}

template <typename T>
struct Range {
  T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::min();
  explicit Range(const Value& value) { widen_range(value.meta, value.data, 0, low, high); }
};

template <typename T>
PyObject* as_int(T number) {
  if constexpr (std::is_signed_v<T>)
    return PyLong_FromLongLong(number);
  else
    return PyLong_FromUnsignedLongLong(number);
}

// Whether all elements are in [low, high), with low <= 0 <= high: then neither difference is negative. Differences that
// overflow are not mistaken, as only one of the two can. Of two and two elements without a branch.
template <typename T>
bool all_inside(const T* elements, int64_t count, int64_t low, int64_t high) {
  const auto least = static_cast<uint64_t>(low), most = static_cast<uint64_t>(high) - 1;
  uint64_t signs = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto element = static_cast<uint64_t>(static_cast<int64_t>(elements[i]));
    signs |= (element - least) | (most - element);
    if constexpr (std::is_same_v<T, uint64_t>) signs |= element;
  }
  return static_cast<int64_t>(signs) >= 0;
}

constexpr int64_t kGrain = 1 << 16;

template <typename T>
void look_outside(void* const* buffers, const int64_t* params, int64_t begin, int64_t end) {
  if (!all_inside(static_cast<const T*>(buffers[0]) + begin, end - begin, params[0], params[1]))
    static_cast<std::atomic<bool>*>(buffers[1])->store(true, std::memory_order_relaxed);
}

template <typename T>
bool is_inside(const Value& value, int64_t low, int64_t high) {
  if (!value.meta->contiguous || low > 0 || high < 0) {
    const Range<T> range(value);
    if constexpr (std::is_signed_v<T>)
      return range.low >= low && range.high < high;
    else
      return high > 0 && range.high < static_cast<uint64_t>(high) && (low <= 0 || range.low >= static_cast<uint64_t>(low));
  }
  if (value.meta->size <= 2 * kGrain) return all_inside(elements_of<T>(value.data), value.meta->size, low, high);
  std::atomic<bool> found{false};
  void* const buffers[2] = {value.data, &found};
  const int64_t params[2] = {low, high};
  parallel_for(look_outside<T>, buffers, params, value.meta->size, kGrain);
  return !found.load(std::memory_order_relaxed);
}

// An element outside [low, high) that isn't `except`: the first one met.
template <typename T>
const T* find_outside(const Meta* meta, const char* data, int axis, int64_t low, int64_t high, int64_t except) {
  if (axis == meta->ndim) {
    const T* element = elements_of<T>(data);
    const bool large = !std::is_signed_v<T> && static_cast<uint64_t>(*element) > uint64_t{INT64_MAX};
    const auto number = static_cast<int64_t>(*element);
    return !large && ((number >= low && number < high) || number == except) ? nullptr : element;
  }
  const int64_t count = meta->strides[axis] == 0 && meta->shape[axis] > 0 ? 1 : meta->shape[axis];  // repeated
  const int64_t step = meta->strides[axis] * static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; ++i) {
    if (const T* found = find_outside<T>(meta, data + i * step, axis + 1, low, high, except)) return found;
  }
  return nullptr;
}

// Values must not be looked at while a recording is under way.
bool readable(const Value& value) { return value.meta->size != 0 && modes().recorder == nullptr; }

// Such an element as an int; null without an exception if there is none.
PyObject* outside_or(const Value& value, int64_t low, int64_t high, int64_t except) {
  return with_integer(value.meta->dtype, "index_outside", [&]<typename T>() -> PyObject* {
    const T* found = find_outside<T>(value.meta, value.data, 0, low, high, except);
    return found == nullptr ? nullptr : as_int(*found);
  });
}

// index_range(x): (least, largest) element; None of an empty tensor and while a recording is under way.
PyObject* index_range(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    const Value& value = value_of(expect_tensor(tensor, "index_range", "x"));
    if (modes().observer != nullptr) modes().observer->spoil();
    if (!readable(value)) Py_RETURN_NONE;
    return with_integer(value.meta->dtype, "index_range", [&]<typename T>() -> PyObject* {
      const Range<T> range(value);
      Ref low = checked(as_int(range.low)), high = checked(as_int(range.high));
      return PyTuple_Pack(2, low.get(), high.get());
    });
  });
}

// index_outside(x, low, high): see below.
PyObject* index_outside(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    if (count != 3 && count != 4) throw Error(ErrorKind::type, "[index_outside] expected (Tensor, low, high, except)");
    const Value& value = value_of(expect_tensor(args[0], "index_outside", "x"));
    int64_t numbers[3] = {};
    for (Py_ssize_t i = 1; i < count; ++i) {
      numbers[i - 1] = PyLong_AsLongLong(args[i]);
      if (numbers[i - 1] == -1 && PyErr_Occurred()) return nullptr;
    }
    const int64_t low = numbers[0], high = numbers[1], except = count == 4 ? numbers[2] : low;
    if (value.meta->size == 0) Py_RETURN_NONE;
    PyObject* bad = outside(value, low, high);
    if (bad != nullptr && count == 4) {
      Py_DECREF(bad);
      if (modes().observer != nullptr) modes().observer->spoil();
      bad = outside_or(value, low, high, except);
      if (bad == nullptr && PyErr_Occurred()) return nullptr;
    }
    if (auto* recorder = static_cast<PyObject*>(modes().recorder); recorder != nullptr && bad == nullptr) {
      // The plan is for such indices only: its guards look again.
      Ref held = Ref::borrow(recorder);
      checked(PyObject_CallMethod(recorder, "on_range", "OLLL", args[0], low, high, except));
      Py_RETURN_NONE;
    }
    if (bad != nullptr) {
      if (modes().observer != nullptr) modes().observer->spoil();
      return bad;
    }
    if (PyErr_Occurred()) return nullptr;
    report_range(&handle_of(args[0]), low, high);
    Py_RETURN_NONE;
  });
}

// ------------------------------------------------------------------------------------------------------------- masks
// A row-major value of the same elements.
Value dense(const Value& value) { return value.meta->contiguous ? value.detached() : contiguous_copy(value); }

// How many bytes, each 0 or 1, are 1.
int64_t number_true(const char* mask, int64_t count) {
  int64_t found = 0, i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t word;
    std::memcpy(&word, mask + i, sizeof word);
    found += static_cast<int64_t>(word * 0x0101010101010101ull >> 56);
  }
  for (; i < count; ++i) found += mask[i];
  return found;
}

template <typename T>
void keep(const char* mask, const char* source, char* target, int64_t count) {
  const T* from = elements_of<T>(source);
  T* to = static_cast<T*>(static_cast<void*>(target));
  for (int64_t i = 0, kept = 0; kept < count; ++i) {
    to[kept] = from[i];
    kept += mask[i];
  }
}

Value vector_of(DType dtype, int64_t count, int device) {
  Meta* meta = meta_intern(dtype, &count, nullptr, 1, device);
  Value result = empty_value(meta);
  meta_release(meta);
  return result;
}

struct Wide {
  uint64_t parts[2];
};

// (x, mask): the elements of x where the mask, of the same shape, is true.
void chosen(const Value* const* inputs, uint32_t, const int64_t*, Values& outputs) {
  const Value x = dense(*inputs[0]), mask = dense(*inputs[1]);
  const int64_t count = number_true(mask.data, mask.meta->size);
  Value result = vector_of(x.meta->dtype, count, x.meta->device);
  switch (itemsize(x.meta)) {
    case 1: keep<uint8_t>(mask.data, x.data, result.data, count); break;
    case 2: keep<uint16_t>(mask.data, x.data, result.data, count); break;
    case 4: keep<uint32_t>(mask.data, x.data, result.data, count); break;
    case 8: keep<uint64_t>(mask.data, x.data, result.data, count); break;
    default: keep<Wide>(mask.data, x.data, result.data, count); break;
  }
  outputs.resize(1);
  outputs[0] = std::move(result);
}

// (mask), whether per axis: where the mask is true, in row-major order: counted through, or one vector per axis.
void positions(const Value* const* inputs, uint32_t, const int64_t* per_axis, Values& outputs) {
  const Value mask = dense(*inputs[0]);
  const Meta* meta = mask.meta;
  const int64_t count = number_true(mask.data, meta->size);
  const int axes = per_axis[0] != 0 ? meta->ndim : 1;
  outputs.resize(static_cast<size_t>(axes));
  int64_t* columns[kMaxDimensions];
  for (int a = 0; a < axes; ++a) {
    outputs[static_cast<size_t>(a)] = vector_of(DType::int64, count, meta->device);
    columns[a] = static_cast<int64_t*>(static_cast<void*>(outputs[static_cast<size_t>(a)].data));
  }
  if (axes == 0) return;
  int64_t* const flat = columns[axes - 1];
  for (int64_t i = 0, kept = 0; kept < count; ++i) {
    flat[kept] = i;
    kept += mask.data[i];
  }
  for (int64_t i = 0; axes > 1 && i < count; ++i) {
    int64_t rest = flat[i];
    for (int a = axes - 1; a > 0; --a) {
      columns[a][i] = rest % meta->shape[a];
      rest /= meta->shape[a];
    }
    columns[0][i] = rest;
  }
}

// (x), (least size, largest size): how often 0, 1, 2, ... occur; nothing if an element is negative or the result too long.
void bins(const Value* const* inputs, uint32_t, const int64_t* sizes, Values& outputs) {
  const Value x = dense(*inputs[0]);
  with_integer(x.meta->dtype, "bins", [&]<typename T>() {
    const Range<T> range(x);
    const bool empty = x.meta->size == 0;
    if (!empty && (range.low < 0 || static_cast<uint64_t>(range.high) >= static_cast<uint64_t>(sizes[1]))) return;
    const int64_t longest = empty ? 0 : static_cast<int64_t>(range.high) + 1;
    const int64_t count = longest < sizes[0] ? sizes[0] : longest;
    Value result = vector_of(DType::int64, count, x.meta->device);
    auto* counts = static_cast<int64_t*>(static_cast<void*>(result.data));
    std::memset(counts, 0, static_cast<size_t>(count) * sizeof(int64_t));
    const T* elements = elements_of<T>(x.data);
    for (int64_t i = 0; i < x.meta->size; ++i) ++counts[static_cast<size_t>(elements[i])];
    outputs.resize(1);
    outputs[0] = std::move(result);
  });
}

// Runs it on tensors, for Python, which doesn't ask while a recording is under way.
PyObject* call_reading(ReadingFunction function, PyObject* const* tensors, uint32_t count, const int64_t* numbers,
                       uint32_t number_count, bool tuple) {
  const Value* inputs[2];
  Handle* handles[2];
  for (uint32_t i = 0; i < count; ++i) {
    handles[i] = &handle_of(tensors[i]);
    inputs[i] = &handles[i]->value;
  }
  if (modes().recorder != nullptr) throw Error(ErrorKind::runtime, "values can't be looked at while a recording is under way");
  Values outputs;
  function(inputs, count, numbers, outputs);
  if (outputs.size() == 0 && !tuple) {  // it declined
    if (modes().observer != nullptr) modes().observer->spoil();
    Py_RETURN_NONE;
  }
  report_reading(function, handles, inputs, count, numbers, number_count, outputs);
  if (!tuple) return wrap(Value(outputs[0]));
  Ref items = checked(PyTuple_New(static_cast<Py_ssize_t>(outputs.size())));
  for (size_t i = 0; i < outputs.size(); ++i)
    PyTuple_SET_ITEM(items.get(), static_cast<Py_ssize_t>(i), checked(wrap(Value(outputs[i]))).release());
  return items.release();
}

void check_mask(const Value& mask, const char* function) {
  if (mask.meta->dtype != DType::boolean) throw Error(ErrorKind::type, std::string("[") + function + "] expected a bool mask");
}

PyObject* chosen_function(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    if (count != 2) throw Error(ErrorKind::type, "[chosen] expected (x, mask)");
    const Value& x = value_of(expect_tensor(args[0], "chosen", "x"));
    const Value& mask = value_of(expect_tensor(args[1], "chosen", "mask"));
    check_mask(mask, "chosen");
    if (!same_shape(x.meta, mask.meta)) throw Error(ErrorKind::value, "[chosen] expected a mask of the shape of x");
    return call_reading(chosen, args, 2, nullptr, 0, false);
  });
}

PyObject* positions_function(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    if (count != 2) throw Error(ErrorKind::type, "[positions] expected (mask, per_axis)");
    check_mask(value_of(expect_tensor(args[0], "positions", "mask")), "positions");
    const int64_t per_axis = PyObject_IsTrue(args[1]);
    if (per_axis < 0) return nullptr;
    return call_reading(positions, args, 1, &per_axis, 1, per_axis != 0);
  });
}

PyObject* bins_function(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    if (count != 3) throw Error(ErrorKind::type, "[bins] expected (x, least, largest)");
    expect_tensor(args[0], "bins", "x");
    const int64_t sizes[2] = {PyLong_AsLongLong(args[1]), PyLong_AsLongLong(args[2])};
    if (PyErr_Occurred()) return nullptr;
    if (sizes[0] < 0 || sizes[0] > sizes[1]) throw Error(ErrorKind::value, "[bins] expected 0 <= least <= largest");
    return call_reading(bins, args, 1, sizes, 2, false);
  });
}

PyCFunction fast(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace

PyObject* outside(const Value& value, int64_t low, int64_t high) {
  if (value.meta->size == 0) return nullptr;
  return with_integer(value.meta->dtype, "index_outside", [&]<typename T>() -> PyObject* {
    if (is_inside<T>(value, low, high)) return nullptr;
    const Range<T> range(value);
    bool below = false;
    if constexpr (std::is_signed_v<T>)
      below = range.low < low;
    else
      below = low > 0 && range.low < static_cast<uint64_t>(low);
    return as_int(below ? range.low : range.high);
  });
}

bool is_inside_or(const Value& value, int64_t low, int64_t high, int64_t except) {
  if (value.meta->size == 0) return true;
  if (value.meta->dtype < DType::int8 || value.meta->dtype > DType::uint64) return false;
  return with_integer(value.meta->dtype, "range", [&]<typename T>() {
    return is_inside<T>(value, low, high) ||
           (except != low && find_outside<T>(value.meta, value.data, 0, low, high, except) == nullptr);
  });
}

PyMethodDef reading_functions[] = {
    {"index_range", index_range, METH_O,
     "index_range(x): (least, largest) element of an integer tensor; None if it is empty or a recording is under way."},
    {"index_outside", fast(index_outside), METH_FASTCALL,
     "index_outside(x, low, high[, except]): an element of an integer tensor outside [low, high) that isn't `except`; None if "
     "there is none. A recording under way is told, by on_range(x, low, high, except), that its plan is for such x."},
    {"chosen", fast(chosen_function), METH_FASTCALL,
     "chosen(x, mask): the elements of x where the bool mask, of its shape, is true, as a vector without history."},
    {"positions", fast(positions_function), METH_FASTCALL,
     "positions(mask, per_axis): where a bool mask is true, int64, in row-major order: a vector of places in the flattened "
     "mask, or a tuple of one vector per axis."},
    {"bins", fast(bins_function), METH_FASTCALL,
     "bins(x, least, largest): how often 0, 1, 2, ... occur among integers x, an int64 vector of at least `least` elements; None "
     "if one is negative or the vector would have more than `largest`."},
    {nullptr}};

}  // namespace twain
