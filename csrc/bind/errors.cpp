#include "bind/python.h"
#include "dispatch/error.h"

namespace twain {

void set_python_error() noexcept {
  try {
    throw;
  } catch (const CallbackFailed&) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_SystemError, "a callback failed without an error");
  } catch (const Error& error) {
    PyObject* type = PyExc_RuntimeError;
    if (error.kind == ErrorKind::value) type = PyExc_ValueError;
    if (error.kind == ErrorKind::type) type = PyExc_TypeError;
    if (error.kind == ErrorKind::overflow) type = PyExc_OverflowError;
    PyErr_SetString(type, error.what());
  } catch (const OutOfMemory& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  } catch (...) {
    PyErr_SetString(PyExc_SystemError, "unknown C++ exception");
  }
}

Ref checked(PyObject* result) {
  if (result == nullptr) throw CallbackFailed();
  return Ref(result);
}

PyObject* expect_tensor(PyObject* object, const char* function, const char* argument) {
  if (!is_tensor(object)) {
    PyErr_Format(PyExc_TypeError, "[%s] expected %s: a Tensor, got %s", function, argument, Py_TYPE(object)->tp_name);
    throw CallbackFailed();
  }
  return object;
}

}  // namespace twain
