#include "bind/index_memory.h"

#include <cstring>
#include <limits>
#include <type_traits>

#include "bind/op_type.h"
#include "dispatch/error.h"

namespace twain {
namespace {

constexpr int kMaxParts = 4;
constexpr uint32_t kSlots = 1024;  // one entry per slot; a newcomer takes the place of the older

// A key as plain numbers. Part kinds: int, slice, None, Ellipsis.
struct PlainKey {
  int64_t words[kMaxParts * 4];
  uint32_t count = 0;
  void push(int64_t word) { words[count++] = word; }
};

struct Entry {
  Meta* meta = nullptr;   // owned; null: free
  PyOp* op = nullptr;     // owned
  Attrs* attrs = nullptr; // owned
  PlainKey key;
};
Entry entries[kSlots];

// Ints outside 64 bits, and subclasses of int, are no plain numbers.
bool push_int(PlainKey& key, PyObject* object) {
  if (!PyLong_CheckExact(object)) return false;
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) return false;
  key.push(number);
  return true;
}

bool push_bound(PlainKey& key, PyObject* object) {
  if (object != Py_None) return push_int(key, object);
  key.push(INT64_MIN);
  return true;
}

bool push_part(PlainKey& key, PyObject* part) {
  if (PyLong_CheckExact(part)) {
    key.push(0);
    return push_int(key, part);
  }
  if (PySlice_Check(part)) {
    auto* slice = reinterpret_cast<PySliceObject*>(part);
    key.push(1);
    return push_bound(key, slice->start) && push_bound(key, slice->stop) && push_bound(key, slice->step);
  }
  if (part != Py_None && part != Py_Ellipsis) return false;
  key.push(part == Py_None ? 2 : 3);
  return true;
}

bool plain(PyObject* object, PlainKey& key) {
  if (!PyTuple_CheckExact(object)) return push_part(key, object);
  const Py_ssize_t count = PyTuple_GET_SIZE(object);
  if (count > kMaxParts) return false;
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!push_part(key, PyTuple_GET_ITEM(object, i))) return false;
  return true;
}

Entry& slot_of(const Meta* meta, const PlainKey& key) {
  uint64_t hash = meta->id + uint64_t{key.count} * 0x9E3779B97F4A7C15ull;
  for (uint32_t i = 0; i < key.count; ++i) hash = (hash ^ static_cast<uint64_t>(key.words[i])) * 0xC2B2AE3D27D4EB4Full;
  return entries[(hash >> 40) % kSlots];
}

bool same(const Entry& entry, const Meta* meta, const PlainKey& key) {
  return entry.meta == meta && entry.key.count == key.count &&
         std::memcmp(entry.key.words, key.words, key.count * sizeof(int64_t)) == 0;
}

void release(const Entry& entry) {
  if (entry.meta == nullptr) return;
  meta_release(entry.meta);
  attrs_release(entry.attrs);
  Py_DECREF(reinterpret_cast<PyObject*>(entry.op));
}

// remember_index(x, key, op, *statics)
PyObject* remember_index(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    if (count < 3 || !is_tensor(args[0]) || !is_op(args[2])) {
      PyErr_SetString(PyExc_TypeError, "[remember_index] expected (Tensor, key, Op, *static arguments)");
      return nullptr;
    }
    PlainKey key;
    if (!plain(args[1], key)) Py_RETURN_NONE;
    Statics statics;
    if (count > 3) {
      statics.names.resize(static_cast<size_t>(count - 3));
      statics.values.resize(static_cast<size_t>(count - 3));
    }
    for (Py_ssize_t i = 3; i < count; ++i) statics.values[static_cast<size_t>(statics.count++)] = args[i];
    Entry fresh;
    fresh.attrs = resolve_attrs(as_op(args[2]), statics);
    fresh.meta = value_of(args[0]).meta;
    fresh.op = reinterpret_cast<PyOp*>(Py_NewRef(args[2]));
    fresh.key = key;
    meta_retain(fresh.meta);
    std::swap(fresh, slot_of(fresh.meta, key));
    release(fresh);
    Py_RETURN_NONE;
  });
}

// The least and the largest element of an integer tensor, as Python ints.
template <typename T>
void widen_range(const Meta* meta, const char* data, int axis, T& low, T& high) {
  if (axis == meta->ndim || (axis == 0 && meta->contiguous)) {
    const int64_t count = axis == meta->ndim ? 1 : meta->size;
    const T* elements = reinterpret_cast<const T*>(data);
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
PyObject* range_of(const Value& value) {
  T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::min();
  widen_range(value.meta, static_cast<const char*>(static_cast<const void*>(value.data)), 0, low, high);
  if constexpr (std::is_signed_v<T>)
    return Py_BuildValue("(LL)", static_cast<long long>(low), static_cast<long long>(high));
  else
    return Py_BuildValue("(KK)", static_cast<unsigned long long>(low), static_cast<unsigned long long>(high));
}

// index_range(x): (least, largest) element; None of an empty tensor and while a recording is under way, when values of
// tensors must not be looked at.
PyObject* index_range(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    const Value& value = value_of(expect_tensor(tensor, "index_range", "x"));
    if (value.meta->size == 0 || modes().recorder != nullptr) Py_RETURN_NONE;
    switch (value.meta->dtype) {
      case DType::int8: return range_of<int8_t>(value);
      case DType::int16: return range_of<int16_t>(value);
      case DType::int32: return range_of<int32_t>(value);
      case DType::int64: return range_of<int64_t>(value);
      case DType::uint8: return range_of<uint8_t>(value);
      case DType::uint16: return range_of<uint16_t>(value);
      case DType::uint32: return range_of<uint32_t>(value);
      case DType::uint64: return range_of<uint64_t>(value);
      default: throw Error(ErrorKind::type, "[index_range] expected an integer tensor");
    }
  });
}

}  // namespace

PyObject* remembered_index(PyObject* tensor, PyObject* object) {
  PlainKey key;
  if (!plain(object, key)) return nullptr;
  const Value& value = value_of(tensor);
  const Entry& entry = slot_of(value.meta, key);
  if (!same(entry, value.meta, key)) return nullptr;
  Value output;
  if (!dispatch_fast(&entry.op->op, entry.attrs, &value, nullptr, output)) return nullptr;
  return wrap(std::move(output));
}

void forget_indices() {
  for (Entry& entry : entries) {
    Entry old;
    std::swap(old, entry);
    release(old);
  }
}

PyMethodDef index_functions[] = {
    {"remember_index", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(remember_index)), METH_FASTCALL,
     "remember_index(x, key, op, *statics): from now on, x[key] for tensors described like x is op(x, *statics)."},
    {"index_range", index_range, METH_O,
     "index_range(x): (least, largest) element of an integer tensor; None if it is empty or a recording is under way."},
    {nullptr}};

}  // namespace twain
