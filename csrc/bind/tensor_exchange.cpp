// Memory in and out: the buffer protocol, and tensors made from a buffer, from nothing or around foreign memory.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bind/tensor_type.h"
#include "bind/dlpack.h"
#include "dispatch/error.h"
#include "tensor/scalar.h"

namespace twain {
namespace {

// What an exported buffer uses. It holds the value, not the handle, which may be given another value meanwhile.
struct Exported {
  Value value;
  std::vector<Py_ssize_t> shape, strides;
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded_int([&] {
    const Value& value = value_of(self);
    const Meta* meta = value.meta;
    const DTypeInfo& dtype = info(meta->dtype);
    if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
      PyErr_SetString(PyExc_BufferError, "[buffer] a tensor's memory is read-only for others; copy it, or change the tensor");
      return -1;
    }
    if (dtype.buffer_format == nullptr) {
      PyErr_Format(PyExc_BufferError, "[buffer] %s has no code in the buffer protocol; convert with astype first", dtype.name);
      return -1;
    }
    const bool fortran_only = (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && meta->ndim > 1;
    if ((!meta->contiguous && (flags & PyBUF_STRIDES) != PyBUF_STRIDES) || fortran_only ||
        (!meta->contiguous && (flags & (PyBUF_C_CONTIGUOUS | PyBUF_ANY_CONTIGUOUS) & ~PyBUF_STRIDES) != 0)) {
      PyErr_SetString(PyExc_BufferError, "[buffer] the elements do not lie in the order asked for");
      return -1;
    }
    report_read(self, "buffer");
    auto exported = std::make_unique<Exported>();
    exported->value = value.detached();
    for (int i = 0; i < meta->ndim; ++i) {
      exported->shape.push_back(static_cast<Py_ssize_t>(meta->shape[i]));
      exported->strides.push_back(static_cast<Py_ssize_t>(meta->strides[i] * dtype.itemsize));
    }
    view->buf = value.data;
    view->len = static_cast<Py_ssize_t>(meta->nbytes);
    view->itemsize = dtype.itemsize;
    view->readonly = 1;
    view->ndim = meta->ndim;
    view->format = (flags & PyBUF_FORMAT) != 0 ? const_cast<char*>(dtype.buffer_format) : nullptr;
    view->shape = (flags & PyBUF_ND) != 0 ? exported->shape.data() : nullptr;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? exported->strides.data() : nullptr;
    view->suboffsets = nullptr;
    view->internal = exported.release();
    view->obj = Py_NewRef(self);
    return 0;
  });
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Exported*>(view->internal); }

PyObject* empty(PyObject*, PyObject* meta) {
  return guarded([&]() -> PyObject* { return wrap(empty_value(meta_of(meta, "empty"))); });
}

PyObject* full(PyObject*, PyObject* args) {
  PyObject* meta;
  double number;
  if (!PyArg_ParseTuple(args, "Od", &meta, &number)) return nullptr;
  return guarded([&]() -> PyObject* { return wrap(filled(meta_of(meta, "filled"), number)); });
}

PyObject* from_buffer(PyObject*, PyObject* args) {
  PyObject *meta_given, *source;
  if (!PyArg_ParseTuple(args, "OO", &meta_given, &source)) return nullptr;
  return guarded([&]() -> PyObject* {
    Meta* meta = meta_of(meta_given, "from_buffer");
    if (!meta->contiguous) throw Error(ErrorKind::value, "[from_buffer] expected a row-major Meta");
    Py_buffer view;
    if (PyObject_GetBuffer(source, &view, PyBUF_FULL_RO) != 0) return nullptr;
    struct Release {
      Py_buffer* view;
      ~Release() { PyBuffer_Release(view); }
    } release{&view};
    if (view.len != meta->nbytes)
      throw Error(ErrorKind::value, "[from_buffer] expected " + std::to_string(meta->nbytes) + " bytes, got " + std::to_string(view.len));
    Value value = empty_value(meta);
    if (view.len != 0 && PyBuffer_ToContiguous(value.data, &view, view.len, 'C') != 0) return nullptr;
    return wrap(std::move(value));
  });
}

void release_owner(void* owner) { Py_XDECREF(static_cast<PyObject*>(owner)); }

PyObject* wrap_memory(PyObject*, PyObject* args) {
  unsigned long long address;
  Py_ssize_t nbytes;
  PyObject *owner, *meta_given;
  if (!PyArg_ParseTuple(args, "KnOO", &address, &nbytes, &owner, &meta_given)) return nullptr;
  return guarded([&]() -> PyObject* {
    Meta* meta = meta_of(meta_given, "wrap");
    if (meta->lowest != 0 || meta->extent > nbytes)
      throw Error(ErrorKind::value, "[wrap] expected at least " + std::to_string(meta->extent) + " bytes, got " + std::to_string(nbytes));
    Storage* storage = borrow_memory(reinterpret_cast<void*>(static_cast<uintptr_t>(address)), static_cast<size_t>(nbytes),
                                     meta->device, Py_NewRef(owner), release_owner);
    meta_retain(meta);
    return wrap(Value(storage, meta, storage->data));
  });
}

PyObject* copy(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* { return wrap(contiguous_copy(value_of(expect_tensor(tensor, "copy", "x")))); });
}

PyObject* import_dlpack(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"source", "device", "copy", nullptr};
  PyObject *source, *copy_given = Py_None;
  int device = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|iO", const_cast<char**>(names), &source, &device, &copy_given)) return nullptr;
  return guarded([&]() -> PyObject* { return wrap(dlpack_import(source, device, copy_given)); });
}

}  // namespace

PyBufferProcs tensor_buffer = {get_buffer, release_buffer};

PyMethodDef exchange_functions[] = {
    {"empty", empty, METH_O, "empty(meta): a new Tensor, contents undefined."},
    {"filled", full, METH_VARARGS, "filled(meta, number): a new Tensor of equal elements."},
    {"copy", copy, METH_O, "copy(x): the same elements, row-major, in memory of their own; without history."},
    {"from_buffer", from_buffer, METH_VARARGS, "from_buffer(meta, object): a new Tensor with a copy of the object's bytes."},
    {"wrap", wrap_memory, METH_VARARGS,
     "wrap(address, nbytes, owner, meta): a Tensor on memory that `owner` keeps alive. It is never written."},
    {"from_dlpack", with_keywords(import_dlpack), METH_VARARGS | METH_KEYWORDS,
     "from_dlpack(source, device=0, copy=None): a Tensor on the memory of a DLPack capsule or an object with "
     "__dlpack__; copied if copy=True or if it is not aligned."},
    {nullptr}};

}  // namespace twain
