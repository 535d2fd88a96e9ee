// What every file of the binding needs: Python's API, the layout of our objects, and errors.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <exception>
#include <new>
#include <utility>

#include "dispatch/dispatch.h"
#include "tensor/handle.h"

namespace twain {

// An owned reference.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }
  static Ref borrow(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// The result of a call into Python; throws CallbackFailed if it failed.
Ref checked(PyObject* result);

// Turns the exception being handled into a Python error. To be called in a catch block only.
void set_python_error() noexcept;

// Runs `body`, which returns a PyObject* (null: error set), and lets no C++ exception out.
template <typename Body>
PyObject* guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}
template <typename Body>
int guarded_int(Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    set_python_error();
    return -1;
  }
}

// Tensor ------------------------------------------------------------------------------------------------------------
struct PyTensor {
  PyObject_HEAD
  Handle handle;
  PyObject* weak_references;
};
extern PyTypeObject tensor_type;

inline bool is_tensor(PyObject* object) { return Py_TYPE(object) == &tensor_type; }
inline PyTensor* as_tensor(PyObject* object) { return reinterpret_cast<PyTensor*>(object); }
inline Handle& handle_of(PyObject* tensor) { return as_tensor(tensor)->handle; }
inline Value& value_of(PyObject* tensor) { return as_tensor(tensor)->handle.value; }
inline PyObject* object_of(Handle* handle) {
  return reinterpret_cast<PyObject*>(reinterpret_cast<char*>(handle) - offsetof(PyTensor, handle));
}

// Freed objects wait here for the next tensor.
struct FreeTensors {
  static constexpr int kCapacity = 256;
  PyTensor* objects[kCapacity];
  int count;
};
extern FreeTensors free_tensors;
PyObject* new_tensor_object();  // null: no memory, error set

// A new Tensor; null: no memory, error set.
inline PyObject* wrap(Value&& value) {
  PyObject* object;
  if (free_tensors.count != 0) [[likely]] {
    object = reinterpret_cast<PyObject*>(free_tensors.objects[--free_tensors.count]);
    _Py_NewReference(object);
  } else {
    object = new_tensor_object();
    if (object == nullptr) return nullptr;
  }
  PyTensor* tensor = as_tensor(object);
  new (&tensor->handle) Handle{std::move(value)};
  tensor->weak_references = nullptr;
  return object;
}

// Raises TypeError unless `object` is a Tensor.
PyObject* expect_tensor(PyObject* object, const char* function, const char* argument);

// Meta --------------------------------------------------------------------------------------------------------------
struct PyMeta {
  PyObject_HEAD
  Meta* meta;
};
extern PyTypeObject meta_type;
PyObject* meta_object(Meta* meta);    // new reference
PyObject* shape_object(Meta* meta);   // new reference
Meta* meta_of(PyObject* object, const char* function);  // borrowed; throws CallbackFailed
PyObject* dtype_object(DType dtype);  // new reference: the DType of set_dtypes, or the code
PyObject* device_object(int device);  // new reference

// Program -----------------------------------------------------------------------------------------------------------
struct PyProgram {
  PyObject_HEAD
  Program* program;
};
extern PyTypeObject program_type;

// Callbacks and switches ----------------------------------------------------------------------------------------------
struct Callbacks {
  PyObject* prepare;
  PyObject* vjp;
  PyObject* convert;
  PyObject* trace;
  PyObject* repr;
  PyObject* numpy;
  PyObject* anomaly;
  PyObject* fill;
};
extern Callbacks callbacks;
extern PyTypeObject* symbol_type;
extern PyTypeObject* dtype_type;  // of the objects given to set_dtypes
inline bool is_symbol(PyObject* object) {
  return symbol_type != nullptr && (Py_TYPE(object) == symbol_type || PyType_IsSubtype(Py_TYPE(object), symbol_type));
}

// A Python scalar from element 0, or from any element. Null: error set.
PyObject* scalar_object(DType dtype, const void* element);
// Tells the recorder, if there is one, that a value leaves the graph. Throws CallbackFailed.
void report_read(PyObject* tensor, const char* kind);

// Each adds its part to the module; false: error set.
bool add_meta_type(PyObject* module);
bool add_program_type(PyObject* module);
bool add_op_type(PyObject* module);
bool add_remembered_type(PyObject* module);
bool add_tensor_type(PyObject* module);
void install_runtime();

}  // namespace twain
