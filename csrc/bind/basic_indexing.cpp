// x[key] and x[key] = value for keys of ints, slices, ... and None, whatever the numbers in them: read as a view of the
// same memory, written where it lies. What isn't as plain as that goes to Python, which also says what is wrong.
#include <cstring>
#include <limits>

#include "bind/tensor_type.h"
#include "dispatch/modes.h"

namespace twain {
namespace {

// Larger writes are worth a kernel, which runs on all threads.
constexpr int64_t kMostWritten = 1 << 15;

// A part of an array.
struct Part {
  char* data;
  int ndim = 0;
  int64_t size = 1;
  int64_t shape[kMaxDimensions], strides[kMaxDimensions];  // strides in elements

  bool push(int64_t count, int64_t stride) {
    if (ndim == kMaxDimensions) return false;
    shape[ndim] = count;
    strides[ndim++] = stride;
    size *= count;
    return true;
  }
};

// An int of Python or NumPy: what is neither a truth value nor an array.
bool is_int(PyObject* object) {
  if (PyLong_CheckExact(object)) return true;
  return PyIndex_Check(object) && !PyBool_Check(object) && !is_tensor(object) && !is_symbol(object) && !PySequence_Check(object) &&
         PyObject_CheckBuffer(object) && std::strncmp(Py_TYPE(object)->tp_name, "numpy.bool", 10) != 0;
}

bool is_slice_part(PyObject* object) { return object == Py_None || is_int(object); }

// Adds what `key`, one entry of an index, makes of axis `axis`; axis: the next one afterwards.
bool add(Part& part, const Meta* meta, int& axis, int64_t item, PyObject* key) {
  if (key == Py_None) return part.push(1, 0);
  if (axis == meta->ndim) return false;
  const int64_t count = meta->shape[axis], stride = meta->strides[axis];
  ++axis;
  if (is_int(key)) {
    Py_ssize_t index = PyNumber_AsSsize_t(key, nullptr);
    if (index == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    if (index < 0) index += count;
    if (index < 0 || index >= count) return false;
    part.data += index * stride * item;
    return true;
  }
  if (!PySlice_Check(key)) return false;
  const auto* slice = reinterpret_cast<PySliceObject*>(key);
  if (!is_slice_part(slice->start) || !is_slice_part(slice->stop) || !is_slice_part(slice->step)) return false;
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(key, &start, &stop, &step) != 0) {
    PyErr_Clear();
    return false;
  }
  const Py_ssize_t kept = PySlice_AdjustIndices(static_cast<Py_ssize_t>(count), &start, &stop, step);
  if (kept != 0) part.data += start * stride * item;
  return part.push(kept, kept > 1 ? stride * step : stride);
}

// The part of `x` that `key` names. False: not a plain key, or out of range.
bool find_part(Part& part, const Value& x, PyObject* key) {
  const Meta* meta = x.meta;
  const int64_t item = itemsize(meta);
  part.data = x.data;
  int axis = 0;
  if (!PyTuple_CheckExact(key)) {
    if (key == Py_Ellipsis || key == Py_None || !add(part, meta, axis, item, key)) return false;
  } else {
    const Py_ssize_t entries = PyTuple_GET_SIZE(key);
    int named = 0;
    for (Py_ssize_t i = 0; i < entries; ++i) named += PyTuple_GET_ITEM(key, i) != Py_None && PyTuple_GET_ITEM(key, i) != Py_Ellipsis;
    bool ellipsis = false;
    for (Py_ssize_t i = 0; i < entries; ++i) {
      PyObject* entry = PyTuple_GET_ITEM(key, i);
      if (entry != Py_Ellipsis) {
        if (!add(part, meta, axis, item, entry)) return false;
        continue;
      }
      if (ellipsis || named > meta->ndim) return false;
      ellipsis = true;
      for (int left = meta->ndim - named; left > 0; --left, ++axis)
        if (!part.push(meta->shape[axis], meta->strides[axis])) return false;
    }
  }
  for (; axis < meta->ndim; ++axis)
    if (!part.push(meta->shape[axis], meta->strides[axis])) return false;
  return true;
}

// Nobody is to be told, and x is no part of a graph.
bool is_plain(const Value& x) {
  const Modes& current = modes();
  return !current.watched() && !current.tracing && (x.node == nullptr || !current.grad_enabled);
}

template <typename T>
bool put(void* element, long long number) {
  if (number < static_cast<long long>(std::numeric_limits<T>::min())) return false;
  if (number > 0 && static_cast<unsigned long long>(number) > std::numeric_limits<T>::max()) return false;
  const T converted = static_cast<T>(number);
  std::memcpy(element, &converted, sizeof converted);
  return true;
}

// Writes a number of Python's as an element; false where the dtype doesn't take it as it is.
bool element_of(PyObject* number, DType dtype, void* element) {
  if (dtype == DType::boolean) {
    if (!PyBool_Check(number)) return false;
    *static_cast<bool*>(element) = number == Py_True;
    return true;
  }
  if (dtype == DType::float32 || dtype == DType::float64) {
    if (!PyFloat_CheckExact(number) && !PyLong_CheckExact(number)) return false;
    const bool is_float = PyFloat_CheckExact(number);
    int overflow = 0;
    const long long whole = is_float ? 0 : PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow != 0) return false;
    const double wide = is_float ? PyFloat_AS_DOUBLE(number) : static_cast<double>(whole);
    const float narrow = is_float ? static_cast<float>(wide) : static_cast<float>(whole);
    if (dtype == DType::float32)
      std::memcpy(element, &narrow, sizeof narrow);
    else
      std::memcpy(element, &wide, sizeof wide);
    return true;
  }
  if (!PyLong_CheckExact(number)) return false;
  int overflow = 0;
  const long long whole = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow != 0) return false;
  switch (dtype) {
    case DType::int8: return put<int8_t>(element, whole);
    case DType::int16: return put<int16_t>(element, whole);
    case DType::int32: return put<int32_t>(element, whole);
    case DType::int64: return put<int64_t>(element, whole);
    case DType::uint8: return put<uint8_t>(element, whole);
    case DType::uint16: return put<uint16_t>(element, whole);
    case DType::uint32: return put<uint32_t>(element, whole);
    case DType::uint64: return put<uint64_t>(element, whole);
    default: return false;
  }
}

template <size_t N>
void write(const Part& part, int axis, char* target, const char* source, const int64_t* source_strides) {
  if (axis == part.ndim) {
    std::memcpy(target, source, N);
    return;
  }
  const int64_t step = part.strides[axis] * static_cast<int64_t>(N), source_step = source_strides[axis] * static_cast<int64_t>(N);
  for (int64_t i = 0; i < part.shape[axis]; ++i) write<N>(part, axis + 1, target + i * step, source + i * source_step, source_strides);
}

}  // namespace

PyObject* basic_view(PyObject* self, PyObject* key) {
  const Value& x = value_of(self);
  Part part;
  if (!is_plain(x) || is_weak(x.meta->dtype) || !find_part(part, x, key)) return nullptr;
  return guarded([&]() -> PyObject* {
    Meta* meta = meta_intern(x.meta->dtype, part.shape, part.strides, part.ndim, x.meta->device);
    storage_retain(x.storage);
    return wrap(Value(x.storage, meta, part.size != 0 ? part.data : x.data));
  });
}

bool basic_write(PyObject* self, PyObject* key, PyObject* given) {
  Handle& handle = handle_of(self);
  Value& x = handle.value;
  const Modes& current = modes();
  if (current.watched() || current.tracing || x.node != nullptr || handle.retains_grad || !x.meta->contiguous || !storage_writable(x.storage))
    return false;
  Part part;
  if (!find_part(part, x, key) || part.size > kMostWritten) return false;
  alignas(16) char element[16];
  const char* source = element;
  int64_t source_strides[kMaxDimensions] = {};
  if (is_tensor(given)) {
    const Value& value = value_of(given);
    const Meta* meta = value.meta;
    if (value.node != nullptr || meta->dtype != x.meta->dtype || meta->device != x.meta->device || meta->ndim > part.ndim) return false;
    for (int i = 1; i <= meta->ndim; ++i) {
      const int64_t count = meta->shape[meta->ndim - i];
      if (count != part.shape[part.ndim - i] && count != 1) return false;
      source_strides[part.ndim - i] = count == 1 ? 0 : meta->strides[meta->ndim - i];
    }
    source = value.data;
  } else if (!element_of(given, x.meta->dtype, element)) {
    return false;
  }
  switch (itemsize(x.meta)) {
    case 1: write<1>(part, 0, part.data, source, source_strides); break;
    case 2: write<2>(part, 0, part.data, source, source_strides); break;
    case 4: write<4>(part, 0, part.data, source, source_strides); break;
    case 8: write<8>(part, 0, part.data, source, source_strides); break;
    default: write<16>(part, 0, part.data, source, source_strides); break;
  }
  x.trace = 0;
  return true;
}

}  // namespace twain
