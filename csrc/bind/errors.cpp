#include <cstdlib>

#include "bind/op_type.h"
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

namespace {

// One of base/errors.py that is about what the user gave, not about twain.
bool is_user_mistake(PyObject* type) {
  Ref module(PyObject_GetAttrString(type, "__module__"));
  Ref name(PyObject_GetAttrString(type, "__name__"));
  const bool known = module && name && PyUnicode_Check(module.get()) && PyUnicode_Check(name.get()) &&
                     PyUnicode_CompareWithASCIIString(module.get(), "twain.base.errors") == 0 &&
                     PyUnicode_CompareWithASCIIString(name.get(), "VerificationError") != 0;
  if (!known) PyErr_Clear();
  return known;
}

}  // namespace

Ref checked_rule(PyObject* result) {
  if (result != nullptr) return Ref(result);
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  const char* verify = std::getenv("TWAIN_VERIFY");
  if (type != nullptr && (verify == nullptr || *verify == '\0') && is_user_mistake(type)) {
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != nullptr && PyException_SetTraceback(value, Py_None) == 0) Py_CLEAR(traceback);
  }
  PyErr_Restore(type, value, traceback);
  throw CallbackFailed();
}

PyObject* expect_tensor(PyObject* object, const char* function, const char* argument) {
  if (!is_tensor(object)) {
    PyErr_Format(PyExc_TypeError, "[%s] expected %s: a Tensor, got %s", function, argument, Py_TYPE(object)->tp_name);
    throw CallbackFailed();
  }
  return object;
}

}  // namespace twain
