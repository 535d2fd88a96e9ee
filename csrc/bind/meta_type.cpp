// _core.Meta and _core.meta
#include <string>

#include "bind/python.h"
#include "dispatch/error.h"

namespace twain {
namespace {

PyObject* dtypes = nullptr;       // tuple of the DType objects, by code
PyObject* device_maker = nullptr;
PyObject* devices[256] = {};

PyObject* tuple_of(const int64_t* numbers, int count) {
  PyObject* tuple = PyTuple_New(count);
  if (tuple == nullptr) return nullptr;
  for (int i = 0; i < count; ++i) {
    PyObject* number = PyLong_FromLongLong(numbers[i]);
    if (number == nullptr) {
      Py_DECREF(tuple);
      return nullptr;
    }
    PyTuple_SET_ITEM(tuple, i, number);
  }
  return tuple;
}

Meta* self_meta(PyObject* self) { return reinterpret_cast<PyMeta*>(self)->meta; }

void deallocate(PyObject* self) {
  Meta* meta = self_meta(self);
  meta->python_meta = nullptr;
  meta_release(meta);
  PyObject_Free(self);
}

PyObject* represent(PyObject* self) {
  Ref shape(shape_object(self_meta(self)));
  if (!shape) return nullptr;
  Ref strides(tuple_of(self_meta(self)->strides, self_meta(self)->ndim));
  if (!strides) return nullptr;
  const Meta* meta = self_meta(self);
  return PyUnicode_FromFormat("Meta(%s, shape=%R, strides=%R, device=%d)", info(meta->dtype).name, shape.get(),
                              strides.get(), meta->device);
}

PyGetSetDef attributes[] = {
    {"dtype", [](PyObject* self, void*) { return dtype_object(self_meta(self)->dtype); }},
    {"code", [](PyObject* self, void*) { return PyLong_FromLong(static_cast<long>(self_meta(self)->dtype)); }},
    {"shape", [](PyObject* self, void*) { return shape_object(self_meta(self)); }},
    {"strides", [](PyObject* self, void*) { return tuple_of(self_meta(self)->strides, self_meta(self)->ndim); }, nullptr,
     "In elements."},
    {"ndim", [](PyObject* self, void*) { return PyLong_FromLong(self_meta(self)->ndim); }},
    {"size", [](PyObject* self, void*) { return PyLong_FromLongLong(self_meta(self)->size); }},
    {"nbytes", [](PyObject* self, void*) { return PyLong_FromLongLong(self_meta(self)->nbytes); }},
    {"contiguous", [](PyObject* self, void*) { return PyBool_FromLong(self_meta(self)->contiguous); }},
    {"device", [](PyObject* self, void*) { return PyLong_FromLong(self_meta(self)->device); }},
    {"id", [](PyObject* self, void*) { return PyLong_FromUnsignedLong(self_meta(self)->id); }},
    {nullptr}};

// Fills `numbers` from a sequence of ints; returns how many.
int read_numbers(PyObject* sequence, int64_t* numbers, const char* what) {
  Ref fast = checked(PySequence_Fast(sequence, "[meta] expected shape and strides: sequences of ints"));
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(fast.get());
  if (count > kMaxDimensions)
    throw Error(ErrorKind::value, std::string("[meta] expected ") + what + " of at most 64 dimensions, got " + std::to_string(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    numbers[i] = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(fast.get(), i));
    if (numbers[i] == -1 && PyErr_Occurred()) throw CallbackFailed();
  }
  return static_cast<int>(count);
}

PyObject* make_meta(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"code", "shape", "strides", "device", nullptr};
  int code, device = 0;
  PyObject *shape, *strides = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iO|Oi", const_cast<char**>(names), &code, &shape, &strides, &device))
    return nullptr;
  return guarded([&]() -> PyObject* {
    if (code < 0 || code >= kDTypeCount)
      throw Error(ErrorKind::value, "[meta] expected code: a dtype code below 19, got " + std::to_string(code));
    if (device < 0 || device >= kDeviceCount)
      throw Error(ErrorKind::value, "[meta] expected 0 <= device < 16, got " + std::to_string(device));
    int64_t dimensions[kMaxDimensions], steps[kMaxDimensions];
    const int ndim = read_numbers(shape, dimensions, "a shape");
    if (strides != Py_None && read_numbers(strides, steps, "strides") != ndim)
      throw Error(ErrorKind::value, "[meta] expected as many strides as dimensions");
    Meta* meta = meta_intern(static_cast<DType>(code), dimensions, strides == Py_None ? nullptr : steps, ndim, device);
    PyObject* object = meta_object(meta);
    meta_release(meta);
    return object;
  });
}

PyObject* set_dtypes(PyObject*, PyObject* sequence) {
  PyObject* tuple = PySequence_Tuple(sequence);
  if (tuple == nullptr) return nullptr;
  if (PyTuple_GET_SIZE(tuple) < 15) {
    Py_DECREF(tuple);
    PyErr_SetString(PyExc_ValueError, "[set_dtypes] expected the DType objects in the order of their codes");
    return nullptr;
  }
  Py_XSETREF(dtypes, tuple);
  dtype_type = Py_TYPE(PyTuple_GET_ITEM(tuple, 0));
  Py_RETURN_NONE;
}

PyObject* set_device_type(PyObject*, PyObject* maker) {
  Py_INCREF(maker);
  Py_XSETREF(device_maker, maker);
  for (PyObject*& device : devices) Py_CLEAR(device);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"meta", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(make_meta)), METH_VARARGS | METH_KEYWORDS,
     "meta(code, shape, strides=None, device=0): the one Meta of this description. Strides count elements."},
    {"set_dtypes", set_dtypes, METH_O, "Give the core the DType objects, by code."},
    {"set_device_type", set_device_type, METH_O, "Give the core the function that makes a device object of its number."},
    {nullptr}};

}  // namespace

PyTypeObject meta_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

PyObject* meta_object(Meta* meta) {
  if (meta->python_meta != nullptr) return Py_NewRef(static_cast<PyObject*>(meta->python_meta));
  PyMeta* object = PyObject_New(PyMeta, &meta_type);
  if (object == nullptr) return nullptr;
  meta_retain(meta);
  object->meta = meta;
  meta->python_meta = object;
  return reinterpret_cast<PyObject*>(object);
}

PyObject* shape_object(Meta* meta) {
  if (meta->python_shape == nullptr) meta->python_shape = tuple_of(meta->shape, meta->ndim);
  return Py_XNewRef(static_cast<PyObject*>(meta->python_shape));
}

Meta* meta_of(PyObject* object, const char* function) {
  if (Py_TYPE(object) != &meta_type) {
    PyErr_Format(PyExc_TypeError, "[%s] expected a Meta, got %s", function, Py_TYPE(object)->tp_name);
    throw CallbackFailed();
  }
  return self_meta(object);
}

PyObject* dtype_object(DType dtype) {
  const auto code = static_cast<Py_ssize_t>(dtype);
  if (dtypes == nullptr || code >= PyTuple_GET_SIZE(dtypes)) return PyLong_FromSsize_t(code);
  return Py_NewRef(PyTuple_GET_ITEM(dtypes, code));
}

PyObject* device_object(int device) {
  if (devices[device] == nullptr) {
    if (device_maker == nullptr) return PyLong_FromLong(device);
    devices[device] = PyObject_CallFunction(device_maker, "i", device);
  }
  return Py_XNewRef(devices[device]);
}

bool add_meta_type(PyObject* module) {
  meta_type.tp_name = "twain._core.Meta";
  meta_type.tp_doc = "What an array is: dtype, shape, strides, device. Equal descriptions are one object.";
  meta_type.tp_basicsize = sizeof(PyMeta);
  meta_type.tp_flags = Py_TPFLAGS_DEFAULT;
  meta_type.tp_dealloc = deallocate;
  meta_type.tp_repr = represent;
  meta_type.tp_getset = attributes;
  return PyType_Ready(&meta_type) == 0 &&
         PyModule_AddObject(module, "Meta", Py_NewRef(reinterpret_cast<PyObject*>(&meta_type))) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace twain
