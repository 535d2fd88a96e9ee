// Static arguments -> interned attrs. Three steps, from fast to slow: the same objects as before; equal values by a
// dictionary; the record's bind().
#include <cstring>

#include "bind/op_type.h"
#include "dispatch/error.h"

namespace twain {
namespace {

constexpr Py_ssize_t kBoundPerOp = 2048;

// Every attrs object that is alive: key -> address of its Attrs.
PyObject* interned = nullptr;

// A hashable stand-in in which 1, True and 1.0 differ, and so do 0.0 and -0.0. Null with a TypeError: unhashable.
PyObject* key_of(PyObject* object) {
  if (PyFloat_CheckExact(object)) {
    const double number = PyFloat_AS_DOUBLE(object);
    int64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    return Py_BuildValue("(OL)", &PyFloat_Type, static_cast<long long>(bits));
  }
  if (PyComplex_CheckExact(object)) {
    const Py_complex number = PyComplex_AsCComplex(object);
    int64_t bits[2];
    std::memcpy(bits, &number, sizeof bits);
    return Py_BuildValue("(OLL)", &PyComplex_Type, static_cast<long long>(bits[0]), static_cast<long long>(bits[1]));
  }
  if (PySlice_Check(object)) {
    auto* slice = reinterpret_cast<PySliceObject*>(object);
    Ref start(key_of(slice->start)), stop, step;
    if (start) stop = Ref(key_of(slice->stop));
    if (stop) step = Ref(key_of(slice->step));
    if (!step) return nullptr;
    return PyTuple_Pack(4, &PySlice_Type, start.get(), stop.get(), step.get());
  }
  if (PyTuple_Check(object) || PyList_CheckExact(object)) {
    if (Py_EnterRecursiveCall(" in the static arguments of an op")) return nullptr;
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
    Ref key(PyTuple_New(count + 1));
    if (key) {
      PyTuple_SET_ITEM(key.get(), 0, Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(object))));
      for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* item = key_of(PySequence_Fast_GET_ITEM(object, i));
        if (item == nullptr) {
          key = Ref();
          break;
        }
        PyTuple_SET_ITEM(key.get(), i + 1, item);
      }
    }
    Py_LeaveRecursiveCall();
    return key.release();
  }
  if (PyObject_Hash(object) == -1) return nullptr;
  return PyTuple_Pack(2, Py_TYPE(object), object);
}

bool same_forever(PyObject* object) {
  if (object == Py_None || object == Py_Ellipsis || PyBool_Check(object) || PyLong_CheckExact(object) ||
      PyFloat_CheckExact(object) || PyUnicode_CheckExact(object) || PyComplex_CheckExact(object))
    return true;
  if (PyTuple_CheckExact(object)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i)
      if (!same_forever(PyTuple_GET_ITEM(object, i))) return false;
    return true;
  }
  if (PySlice_Check(object)) {
    auto* slice = reinterpret_cast<PySliceObject*>(object);
    return same_forever(slice->start) && same_forever(slice->stop) && same_forever(slice->step);
  }
  return Py_TYPE(object) == dtype_type;
}

void forget(RememberedCall& call) {
  const int count = std::exchange(call.count, 0);
  for (int i = 0; i < count; ++i) {
    Py_XDECREF(call.names[i]);
    Py_DECREF(call.values[i]);
  }
  if (count != 0) attrs_release(call.attrs);
}

const RememberedCall* recall(const PyOp* op, const Statics& statics) {
  for (const RememberedCall& call : op->remembered) {
    if (call.count != statics.count) continue;
    bool same = true;
    for (int i = 0; i < statics.count && same; ++i)
      same = call.values[i] == statics.values[i] && call.names[i] == statics.names[i];
    if (same) return &call;
  }
  return nullptr;
}

void remember(PyOp* op, const Statics& statics, Attrs* attrs) {
  if (statics.count > kRememberedStatics) return;
  for (int i = 0; i < statics.count; ++i)
    if (!same_forever(statics.values[i])) return;
  RememberedCall fresh;
  fresh.count = statics.count;
  for (int i = 0; i < statics.count; ++i) {
    fresh.names[i] = Py_XNewRef(statics.names[i]);
    fresh.values[i] = Py_NewRef(statics.values[i]);
  }
  fresh.attrs = attrs;
  attrs_retain(attrs);
  std::swap(fresh, op->remembered[op->next_remembered]);
  op->next_remembered = (op->next_remembered + 1) % kRememberedCalls;
  forget(fresh);
}

Ref statics_key(const Statics& statics) {
  Ref key(PyTuple_New(statics.count * 2));
  if (!key) return key;
  for (int i = 0; i < statics.count; ++i) {
    PyObject* name = statics.names[i];
    PyTuple_SET_ITEM(key.get(), 2 * i, Py_NewRef(name == nullptr ? Py_None : name));
    PyObject* item = key_of(statics.values[i]);
    if (item == nullptr) return Ref();
    PyTuple_SET_ITEM(key.get(), 2 * i + 1, item);
  }
  return key;
}

// Asks the record. A record without bind takes no static arguments.
Attrs* bind(PyOp* op, const Statics& statics) {
  Py_ssize_t positional = 0;
  while (positional < statics.count && statics.names[positional] == nullptr) ++positional;
  Ref args = checked(PyTuple_New(positional));
  Ref kwargs = checked(PyDict_New());
  for (int i = 0; i < statics.count; ++i) {
    PyObject *name = statics.names[i], *value = statics.values[i];
    if (name == nullptr)
      PyTuple_SET_ITEM(args.get(), i, Py_NewRef(value));
    else if (PyDict_SetItem(kwargs.get(), name, value) != 0)
      throw CallbackFailed();
  }
  Ref method(op->record == nullptr ? nullptr : PyObject_GetAttrString(op->record, "bind"));
  if (!method) {
    PyErr_Clear();
    if (statics.count == 0) return nullptr;
    PyErr_Format(PyExc_TypeError, "[%U] expected at most %d arguments, all tensors", op->name, op->arity);
    throw CallbackFailed();
  }
  Ref attrs = checked_rule(PyObject_CallFunctionObjArgs(method.get(), args.get(), kwargs.get(), nullptr));
  return intern_attrs(attrs.get());
}

}  // namespace

PyTypeObject* dtype_type = nullptr;

Attrs* intern_attrs(PyObject* object) {
  if (object == Py_None) return nullptr;
  if (interned == nullptr) interned = PyDict_New();
  Ref key = checked(key_of(object));
  PyObject* known = PyDict_GetItemWithError(interned, key.get());
  if (known != nullptr) {
    auto* attrs = static_cast<Attrs*>(PyLong_AsVoidPtr(known));
    attrs_retain(attrs);
    return attrs;
  }
  if (PyErr_Occurred()) throw CallbackFailed();
  Ref pair = checked(PyTuple_Pack(2, object, key.get()));
  Attrs* attrs = attrs_make(pair.get());
  Ref address(PyLong_FromVoidPtr(attrs));
  if (!address || PyDict_SetItem(interned, key.get(), address.get()) != 0) throw CallbackFailed();
  pair.release();
  return attrs;
}

void release_attrs_object(void* object) {
  Ref pair(static_cast<PyObject*>(object));
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (PyDict_DelItem(interned, PyTuple_GET_ITEM(pair.get(), 1)) != 0) PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

Attrs* default_attrs(PyOp* op) {
  if (!op->has_default) {
    op->default_attrs = bind(op, Statics());
    op->has_default = true;
  }
  return op->default_attrs;
}

Attrs* resolve_attrs(PyOp* op, const Statics& statics) {
  if (statics.count == 0) {
    Attrs* attrs = default_attrs(op);
    attrs_retain(attrs);
    return attrs;
  }
  if (const RememberedCall* call = recall(op, statics)) {
    attrs_retain(call->attrs);
    return call->attrs;
  }
  Ref key = statics_key(statics);
  if (!key) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw CallbackFailed();
    PyErr_Clear();
    return bind(op, statics);
  }
  PyObject* known = PyDict_GetItemWithError(op->attrs_by_key, key.get());
  if (known == nullptr && PyErr_Occurred()) throw CallbackFailed();
  Attrs* attrs;
  if (known != nullptr) {
    attrs = static_cast<Attrs*>(PyLong_AsVoidPtr(known));
    attrs_retain(attrs);
  } else {
    attrs = bind(op, statics);
    if (PyDict_GET_SIZE(op->attrs_by_key) >= kBoundPerOp) forget_statics(op);
    Ref address(PyLong_FromVoidPtr(attrs));
    if (!address || PyDict_SetItem(op->attrs_by_key, key.get(), address.get()) != 0) {
      attrs_release(attrs);
      throw CallbackFailed();
    }
    attrs_retain(attrs);
  }
  remember(op, statics, attrs);
  return attrs;
}

void forget_statics(PyOp* op) {
  for (RememberedCall& call : op->remembered) forget(call);
  if (op->attrs_by_key == nullptr) return;
  Ref old(std::exchange(op->attrs_by_key, PyDict_New()));
  Py_ssize_t position = 0;
  PyObject *key, *address;
  while (PyDict_Next(old.get(), &position, &key, &address)) attrs_release(static_cast<Attrs*>(PyLong_AsVoidPtr(address)));
}

}  // namespace twain
