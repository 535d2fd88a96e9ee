// Batches of samples: rows of an array, or arrays of one kind, copied into a fresh tensor by all threads.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bind/module_parts.h"
#include "bind/python.h"
#include "dispatch/error.h"
#include "dispatch/unlocked.h"
#include "tensor/scalar.h"
#include "threads/pool.h"

namespace twain {
namespace {

// A thread copies at least so many bytes, and the interpreter lock is left for more than that.
constexpr int64_t kGrainBytes = 1 << 16, kLargeBytes = 1 << 20;

// Rows far apart are met for the first time one by one: their beginnings are asked for so many rows before.
constexpr int64_t kAhead = 2, kAheadBytes = 1024;

inline void prefetch([[maybe_unused]] const char* row, [[maybe_unused]] int64_t nbytes) {
#if defined(__GNUC__)
  for (int64_t i = 0; i < std::min(nbytes, kAheadBytes); i += 64) __builtin_prefetch(row + i);
#endif
}

// Another object's memory, for as long as this lives.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept : view(std::exchange(other.view, Py_buffer{})) {}
  ~Buffer() { PyBuffer_Release(&view); }
  Buffer& operator=(Buffer&&) = delete;

  // False for objects whose memory can't be read as it is; a tensor that is part of a graph or a recording is left to ops.
  bool open(PyObject* object) {
    if (!PyObject_CheckBuffer(object)) return false;
    if (is_tensor(object) && (value_of(object).node != nullptr || value_of(object).meta->device != 0 || modes().recorder != nullptr))
      return false;
    if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) == 0 && view.suboffsets == nullptr) return true;
    PyErr_Clear();
    return false;
  }

  Py_buffer view{};
};

// The dtype that a format of the buffer protocol stands for; none for those that a tensor can't have.
std::optional<DType> dtype_of(const Py_buffer& view) {
  const char* format = view.format == nullptr ? "B" : view.format;
  if (*format == '@' || *format == '=') ++format;
  if (*format == 'l' || *format == 'L' || *format == 'n' || *format == 'N') {
    if (format[1] != '\0' || view.itemsize != (*format == 'l' || *format == 'L' ? sizeof(long) : sizeof(size_t))) return {};
    const bool has_sign = *format == 'l' || *format == 'n';
    if (view.itemsize == 8) return has_sign ? DType::int64 : DType::uint64;
    return has_sign ? DType::int32 : DType::uint32;
  }
  for (int code = 0; code < static_cast<int>(DType::weak_int); ++code) {
    const DTypeInfo& dtype = kDTypes[code];
    if (dtype.buffer_format != nullptr && std::strcmp(format, dtype.buffer_format) == 0)
      return view.itemsize == dtype.itemsize ? std::optional(static_cast<DType>(code)) : std::nullopt;
  }
  return {};
}

// What lies at one place of a batch: an array of any strides (in bytes), copied row-major.
struct Layout {
  int axes = 0;                // that are walked
  int64_t run = 0;             // bytes of one piece
  int64_t shape[kMaxDimensions], strides[kMaxDimensions];
  int64_t nbytes = 0;          // of the whole

  // Of the axes from `first` on.
  Layout(const Py_buffer& view, int first) : axes(view.ndim - first), run(view.itemsize) {
    nbytes = view.itemsize;
    for (int i = 0; i < axes; ++i) {
      shape[i] = view.shape[first + i];
      strides[i] = view.strides[first + i];
      nbytes *= shape[i];
    }
    while (axes > 0 && (strides[axes - 1] == run || shape[axes - 1] == 1)) run *= shape[--axes];
  }

  void copy(char* target, const char* source) const {
    if (axes == 0) {
      std::memcpy(target, source, static_cast<size_t>(run));
      return;
    }
    switch (run) {
      case 1: walk<1>(target, source, 0); break;
      case 2: walk<2>(target, source, 0); break;
      case 4: walk<4>(target, source, 0); break;
      case 8: walk<8>(target, source, 0); break;
      case 16: walk<16>(target, source, 0); break;
      default: walk<0>(target, source, 0);
    }
  }

 private:
  template <size_t N>
  char* walk(char* target, const char* source, int axis) const {
    const int64_t count = shape[axis], stride = strides[axis];
    for (int64_t i = 0; i < count; ++i, source += stride) {
      if (axis + 1 < axes) {
        target = walk<N>(target, source, axis + 1);
      } else {
        std::memcpy(target, source, N != 0 ? N : static_cast<size_t>(run));
        target += N != 0 ? static_cast<int64_t>(N) : run;
      }
    }
    return target;
  }
};

// A new row-major tensor, in memory that `allocate(meta)` gives unless that is None.
PyObject* fresh(DType dtype, const std::vector<int64_t>& shape, PyObject* allocate) {
  struct Owned {
    Meta* meta;
    ~Owned() { meta_release(meta); }
  } owned{meta_intern(dtype, shape.data(), nullptr, static_cast<int>(shape.size()), 0)};
  if (allocate == Py_None) return wrap(empty_value(owned.meta));
  Ref meta(meta_object(owned.meta));
  if (!meta) return nullptr;
  Ref tensor(PyObject_CallOneArg(allocate, meta.get()));
  if (tensor && (!is_tensor(tensor.get()) || value_of(tensor.get()).meta != owned.meta))
    throw Error(ErrorKind::type, "[batches] expected allocate to give a tensor of the meta it was asked for");
  return tensor.release();
}

int64_t grain_of(int64_t nbytes) { return std::max<int64_t>(kGrainBytes / std::max<int64_t>(nbytes, 1), 1); }

// Runs `copy` over [0, total) samples of `nbytes` each.
void copy_all(Kernel copy, void* const* buffers, const int64_t* params, int64_t total, int64_t nbytes) {
  if (total * nbytes == 0) return;
  const Unlocked unlocked(total * nbytes > kLargeBytes);
  parallel_for(copy, buffers, params, total, grain_of(nbytes));
}

// ------------------------------------------------------------------------------------------------------------ stacked
// One element for each leaf.
template <typename T, typename Read>
PyObject* numbers(DType dtype, PyObject* leaves, PyObject* allocate, PyTypeObject* type, Read read) {
  const Py_ssize_t count = PyList_GET_SIZE(leaves);
  for (Py_ssize_t i = 0; i < count; ++i)
    if (Py_TYPE(PyList_GET_ITEM(leaves, i)) != type) Py_RETURN_NONE;
  Ref tensor(fresh(dtype, {count}, allocate));
  if (!tensor) return nullptr;
  T* elements = static_cast<T*>(static_cast<void*>(value_of(tensor.get()).data));
  for (Py_ssize_t i = 0; i < count; ++i) {
    elements[i] = static_cast<T>(read(PyList_GET_ITEM(leaves, i)));
    if (PyErr_Occurred()) return nullptr;
  }
  return tensor.release();
}

void copy_samples(void* const* buffers, const int64_t* params, int64_t begin, int64_t end) {
  const auto* samples = static_cast<const std::vector<Buffer>*>(buffers[0]);
  char* target = static_cast<char*>(buffers[1]) + begin * params[0];
  for (int64_t i = begin; i < end; ++i, target += params[0]) {
    const Py_buffer& view = (*samples)[static_cast<size_t>(i)].view;
    Layout(view, 0).copy(target, static_cast<const char*>(view.buf));
  }
}

PyObject* stacked(PyObject*, PyObject* args) {
  PyObject *leaves, *allocate;
  if (!PyArg_ParseTuple(args, "O!O", &PyList_Type, &leaves, &allocate)) return nullptr;
  return guarded([&]() -> PyObject* {
    const Py_ssize_t count = PyList_GET_SIZE(leaves);
    if (count == 0) Py_RETURN_NONE;
    PyTypeObject* type = Py_TYPE(PyList_GET_ITEM(leaves, 0));
    if (type == &PyLong_Type)
      return numbers<int64_t>(DType::int64, leaves, allocate, type, [](PyObject* leaf) { return PyLong_AsLongLong(leaf); });
    if (type == &PyFloat_Type)
      return numbers<float>(DType::float32, leaves, allocate, type, [](PyObject* leaf) { return PyFloat_AS_DOUBLE(leaf); });
    if (type == &PyBool_Type)
      return numbers<bool>(DType::boolean, leaves, allocate, type, [](PyObject* leaf) { return leaf == Py_True; });
    std::vector<Buffer> samples;
    samples.reserve(static_cast<size_t>(count));
    std::optional<DType> dtype;
    for (Py_ssize_t i = 0; i < count; ++i) {
      Buffer& sample = samples.emplace_back();
      // Opening one may run Python, which may change the list.
      if (i >= PyList_GET_SIZE(leaves) || !sample.open(PyList_GET_ITEM(leaves, i))) Py_RETURN_NONE;
      const Py_buffer &view = sample.view, &first = samples[0].view;
      if (i == 0) dtype = dtype_of(view);
      if (!dtype || view.ndim != first.ndim || view.ndim >= kMaxDimensions || view.itemsize != first.itemsize ||
          std::strcmp(view.format == nullptr ? "B" : view.format, first.format == nullptr ? "B" : first.format) != 0 ||
          (view.ndim != 0 && std::memcmp(view.shape, first.shape, sizeof *view.shape * static_cast<size_t>(view.ndim)) != 0))
        Py_RETURN_NONE;
    }
    std::vector<int64_t> shape{count};
    const Py_buffer& first = samples[0].view;
    if (first.ndim != 0) shape.insert(shape.end(), first.shape, first.shape + first.ndim);
    Ref tensor(fresh(*dtype, shape, allocate));
    if (!tensor) return nullptr;
    void* const buffers[2] = {&samples, value_of(tensor.get()).data};
    const int64_t params[1] = {static_cast<int64_t>(first.len)};
    copy_all(copy_samples, buffers, params, count, first.len);
    return tensor.release();
  });
}

// ------------------------------------------------------------------------------------------------------------- picked
void copy_rows(void* const* buffers, const int64_t* params, int64_t begin, int64_t end) {
  const auto& layout = *static_cast<const Layout*>(buffers[0]);
  const auto* indices = static_cast<const int64_t*>(buffers[1]);
  const auto* source = static_cast<const char*>(buffers[2]);
  const int64_t count = params[0], stride = params[1];
  char* target = static_cast<char*>(buffers[3]) + begin * layout.nbytes;
  const auto row = [&](int64_t i) { return source + (indices[i] < 0 ? indices[i] + count : indices[i]) * stride; };
  for (int64_t i = begin; i < end; ++i, target += layout.nbytes) {
    if (i + kAhead < end) prefetch(row(i + kAhead), layout.nbytes);
    layout.copy(target, row(i));
  }
}

PyObject* picked(PyObject*, PyObject* args) {
  PyObject *rows_given, *indices_given, *allocate;
  if (!PyArg_ParseTuple(args, "OOO", &rows_given, &indices_given, &allocate)) return nullptr;
  return guarded([&]() -> PyObject* {
    Buffer rows, indices;
    if (!rows.open(rows_given) || rows.view.ndim == 0) Py_RETURN_NONE;
    const std::optional<DType> dtype = dtype_of(rows.view);
    if (!dtype) Py_RETURN_NONE;
    if (!indices.open(indices_given) || indices.view.ndim != 1 || dtype_of(indices.view) != DType::int64 ||
        !PyBuffer_IsContiguous(&indices.view, 'C'))
      throw Error(ErrorKind::type, "[picked] expected indices as a row-major vector of int64");
    const auto count = static_cast<int64_t>(rows.view.shape[0]);
    const auto* numbers = static_cast<const int64_t*>(indices.view.buf);
    const auto wanted = static_cast<int64_t>(indices.view.shape[0]);
    for (int64_t i = 0; i < wanted; ++i) {
      if (numbers[i] >= -count && numbers[i] < count) continue;
      PyErr_Format(PyExc_IndexError, "[batch] expected indices of at least %lld and below %lld, got %lld", -static_cast<long long>(count),
                   static_cast<long long>(count), static_cast<long long>(numbers[i]));
      return nullptr;
    }
    std::vector<int64_t> shape{wanted};
    shape.insert(shape.end(), rows.view.shape + 1, rows.view.shape + rows.view.ndim);
    Ref tensor(fresh(*dtype, shape, allocate));
    if (!tensor) return nullptr;
    Layout layout(rows.view, 1);
    void* const buffers[4] = {&layout, indices.view.buf, rows.view.buf, value_of(tensor.get()).data};
    const int64_t params[2] = {count, static_cast<int64_t>(rows.view.strides[0])};
    copy_all(copy_rows, buffers, params, wanted, layout.nbytes);
    return tensor.release();
  });
}

PyMethodDef functions[] = {
    {"stacked", stacked, METH_VARARGS,
     "stacked(leaves, allocate): a Tensor of a list of arrays of one shape and dtype, or of ints (int64), floats (float32)\n"
     "or bools, along a new first axis; None where they aren't that. allocate: None, or meta -> fresh Tensor."},
    {"picked", picked, METH_VARARGS,
     "picked(rows, indices, allocate): a Tensor of those rows of an array; indices: int64 vector, negative ones count from\n"
     "the end. None where a tensor can't have the array's dtype. allocate: None, or meta -> fresh Tensor."},
    {nullptr}};

}  // namespace

bool add_batches(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace twain
