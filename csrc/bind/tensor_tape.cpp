// Tensor's side of the tape: backward, hooks, requires_grad, and the module's functional gradients.
#include "bind/op_type.h"
#include "bind/module_parts.h"
#include "bind/tensor_type.h"
#include "dispatch/error.h"
#include "tape/backward.h"

namespace twain {
namespace {

struct PyHook {  // what register_hook returns
  PyObject_HEAD
  Hook* hook;
};

PyObject* remove_hook(PyObject* self, PyObject*) {
  Hook* hook = reinterpret_cast<PyHook*>(self)->hook;
  if (hook->function != nullptr) Py_DECREF(static_cast<PyObject*>(std::exchange(hook->function, nullptr)));
  Py_RETURN_NONE;
}

PyMethodDef hook_methods[] = {{"remove", remove_hook, METH_NOARGS, "Take the hook away; calling it twice is fine."}, {nullptr}};
PyTypeObject hook_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

std::vector<Value> values_from(PyObject* sequence, const char* function, const char* argument, bool allow_none) {
  std::vector<Value> values;
  if (sequence == Py_None && allow_none) return values;
  Ref items = checked(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), i);
    if (item == Py_None && allow_none)
      values.emplace_back();
    else
      values.push_back(value_of(expect_tensor(item, function, argument)));
  }
  return values;
}

}  // namespace

PyObject* tensor_backward(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"gradient", "retain_graph", "create_graph", nullptr};
  PyObject* gradient = Py_None;
  int retain = 0, create = 0;
  if ((PyTuple_GET_SIZE(args) != 0 || kwargs != nullptr) &&
      !PyArg_ParseTupleAndKeywords(args, kwargs, "|Opp", const_cast<char**>(names), &gradient, &retain, &create))
    return nullptr;
  return guarded([&]() -> PyObject* {
    const Value root[1] = {value_of(self)};
    Value seed[1];
    if (gradient != Py_None) seed[0] = value_of(expect_tensor(gradient, "backward", "gradient"));
    backward(root, seed, {retain != 0, create != 0, false});
    Py_RETURN_NONE;
  });
}

PyObject* tensor_register_hook(PyObject* self, PyObject* function) {
  return guarded([&]() -> PyObject* {
    const Value& value = value_of(self);
    if (!PyCallable_Check(function)) throw Error(ErrorKind::type, "[register_hook] expected a callable");
    if (value.node == nullptr)
      throw Error(ErrorKind::runtime, "[register_hook] expected a tensor that requires a gradient");
    PyHook* hook = PyObject_New(PyHook, &hook_type);
    if (hook == nullptr) return nullptr;
    hook->hook = node_add_hook(value.node, value.output, Py_NewRef(function));
    return reinterpret_cast<PyObject*>(hook);
  });
}

PyObject* tensor_retain_grad(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    handle_retain_grad(&handle_of(self));
    Py_RETURN_NONE;
  });
}

PyObject* tensor_requires_grad(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"flag", nullptr};
  int flag = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p", const_cast<char**>(names), &flag)) return nullptr;
  return guarded([&]() -> PyObject* {
    handle_set_requires_grad(&handle_of(self), flag != 0);
    return Py_NewRef(self);
  });
}

namespace {

PyObject* gradients_function(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"outputs", "inputs", "grad_outputs", "retain_graph", "create_graph", "allow_unused", nullptr};
  PyObject *outputs, *inputs, *grad_outputs = Py_None;
  int retain = 0, create = 0, unused = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|Oppp", const_cast<char**>(names), &outputs, &inputs, &grad_outputs,
                                   &retain, &create, &unused))
    return nullptr;
  return guarded([&]() -> PyObject* {
    const std::vector<Value> roots = values_from(outputs, "gradients", "outputs", false);
    const std::vector<Value> wanted = values_from(inputs, "gradients", "inputs", false);
    for (const Value& value : wanted)
      if (value.node == nullptr) throw Error(ErrorKind::runtime, "[gradients] expected inputs that require a gradient");
    std::vector<Value> seeds = values_from(grad_outputs, "gradients", "grad_outputs", true);
    std::vector<Value> results = gradients(roots, seeds, wanted, {retain != 0, create != 0, unused != 0});
    Ref list = checked(PyList_New(static_cast<Py_ssize_t>(results.size())));
    for (size_t i = 0; i < results.size(); ++i)
      PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i),
                      results[i] ? checked(wrap(std::move(results[i]))).release() : Py_NewRef(Py_None));
    return list.release();
  });
}

template <bool (*change)(bool)>
PyObject* switch_function(PyObject*, PyObject* flag) {
  const int truth = PyObject_IsTrue(flag);
  return truth < 0 ? nullptr : PyBool_FromLong(change(truth != 0));
}

PyObject* set_autocast_function(PyObject*, PyObject* code) {
  const long number = PyLong_AsLong(code);
  if (number == -1 && PyErr_Occurred()) return nullptr;
  if (number < 0 || number >= kDTypeCount) {
    PyErr_Format(PyExc_ValueError, "[set_autocast] expected the code of a dtype or 0, got %ld", number);
    return nullptr;
  }
  return PyLong_FromLong(set_autocast(static_cast<uint8_t>(number)));
}

PyObject* set_caster_function(PyObject*, PyObject* args) {
  PyObject *op, *attrs;
  int code;
  if (!PyArg_ParseTuple(args, "OiO", &op, &code, &attrs)) return nullptr;
  if (!is_op(op) || code < 0 || code >= kDTypeCount) {
    PyErr_SetString(PyExc_TypeError, "[set_caster] expected an Op, the code of a dtype and static arguments");
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    Attrs* interned = intern_attrs(attrs);
    set_caster(&as_op(op)->op, static_cast<uint8_t>(code), interned);
    attrs_release(interned);
    Py_RETURN_NONE;
  });
}

PyObject* set_accumulate_function(PyObject*, PyObject* op) {
  static PyObject* current = nullptr;
  if (op == Py_None) {
    set_accumulate(nullptr, nullptr);
    PyObject* previous = std::exchange(current, nullptr);
    return previous == nullptr ? Py_NewRef(Py_None) : previous;
  }
  if (!is_op(op)) {
    PyErr_Format(PyExc_TypeError, "[set_accumulate] expected an Op, got %s", Py_TYPE(op)->tp_name);
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    default_attrs(as_op(op));
    set_accumulate(&as_op(op)->op, as_op(op)->default_attrs);
    PyObject* previous = std::exchange(current, Py_NewRef(op));
    return previous == nullptr ? Py_NewRef(Py_None) : previous;
  });
}

}  // namespace

PyMethodDef tape_functions[] = {
    {"gradients", with_keywords(gradients_function), METH_VARARGS | METH_KEYWORDS,
     "gradients(outputs, inputs, grad_outputs=None, retain_graph=False, create_graph=False, allow_unused=False) -> list\n\n"
     "The gradients of the outputs for the inputs; .grad stays as it is. None for an unused input, if allowed."},
    {"set_grad_enabled", switch_function<set_grad_enabled>, METH_O, "Switch the tape of this thread; returns the previous setting."},
    {"grad_enabled", [](PyObject*, PyObject*) { return PyBool_FromLong(modes().grad_enabled); }, METH_NOARGS,
     "Whether this thread records on the tape."},
    {"set_anomaly", switch_function<set_anomaly>, METH_O,
     "Look for NaN after every op of this thread, and remember where ops were called; returns the previous setting."},
    {"set_autocast", set_autocast_function, METH_O,
     "The dtype, by its code, that ops with a policy compute in on this thread; 0: none. Returns the previous one."},
    {"autocast", [](PyObject*, PyObject*) { return PyLong_FromLong(modes().autocast); }, METH_NOARGS,
     "The code of the dtype of autocast, or 0."},
    {"set_caster", set_caster_function, METH_VARARGS,
     "set_caster(op, code, attrs): the op and static arguments that convert to a dtype; what autocasting calls."},
    {"set_tracing", switch_function<set_tracing>, METH_O,
     "While on, ops called on Python scalars alone go to the trace callback; returns the previous setting."},
    {"set_accumulate", set_accumulate_function, METH_O, "Give the tape the op that adds two gradients; returns the previous one."},
    {nullptr}};

bool add_tape(PyObject* module) {
  hook_type.tp_name = "twain._core.Hook";
  hook_type.tp_basicsize = sizeof(PyHook);
  hook_type.tp_flags = Py_TPFLAGS_DEFAULT;
  hook_type.tp_methods = hook_methods;
  hook_type.tp_dealloc = [](PyObject* self) {
    hook_release(reinterpret_cast<PyHook*>(self)->hook);
    PyObject_Free(self);
  };
  return PyType_Ready(&hook_type) == 0 && PyModule_AddFunctions(module, tape_functions) == 0;
}

}  // namespace twain
