// _core.Tensor: how objects are made and freed, and its plain attributes and methods.
#include "bind/tensor_type.h"

#include "bind/reading_functions.h"

#include <cstddef>
#include <new>
#include <string>

#include "dispatch/error.h"

namespace twain {
namespace {

void deallocate(PyObject* self) {
  PyTensor* tensor = as_tensor(self);
  if (tensor->weak_references != nullptr) [[unlikely]] PyObject_ClearWeakRefs(self);
  Handle& handle = tensor->handle;
  if (handle.value.node == nullptr && handle.grad == nullptr) [[likely]]
    handle.value.reset();
  else
    handle_clear(&handle);
  if (free_tensors.count < FreeTensors::kCapacity)
    free_tensors.objects[free_tensors.count++] = tensor;
  else
    PyObject_Free(self);
}

PyObject* represent(PyObject* self) {
  return guarded([&]() -> PyObject* {
    report_read(self, "repr");
    if (callbacks.repr != nullptr) return PyObject_CallOneArg(callbacks.repr, self);
    Ref shape(shape_object(value_of(self).meta));
    if (!shape) return nullptr;
    return PyUnicode_FromFormat("<Tensor %s %S>", info(value_of(self).meta->dtype).name, shape.get());
  });
}

const Meta* meta(PyObject* self) { return value_of(self).meta; }

int set_requires_grad(PyObject* self, PyObject* flag, void*) {
  return guarded_int([&] {
    if (flag == nullptr) throw Error(ErrorKind::type, "[requires_grad] cannot be deleted; set it to False");
    const int truth = PyObject_IsTrue(flag);
    if (truth < 0) return -1;
    handle_set_requires_grad(&handle_of(self), truth != 0);
    return 0;
  });
}

PyObject* get_grad(PyObject* self, void*) {
  Handle* grad = handle_of(self).grad;
  return Py_NewRef(grad == nullptr ? Py_None : object_of(grad));
}

int set_grad(PyObject* self, PyObject* grad, void*) {
  return guarded_int([&] {
    Handle& handle = handle_of(self);
    Handle* old = handle.grad;
    if (grad == nullptr || grad == Py_None) {
      handle.grad = nullptr;
    } else {
      expect_tensor(grad, "grad", "the gradient");
      const Meta *own = handle.value.meta, *other = meta(grad);
      if (!same_shape(own, other) || own->dtype != other->dtype || own->device != other->device)
        throw Error(ErrorKind::value, "[grad] expected a Tensor of the same shape, dtype and device");
      if (&handle_of(grad) == &handle) throw Error(ErrorKind::value, "[grad] a tensor cannot be its own gradient");
      Py_INCREF(grad);
      handle.grad = &handle_of(grad);
    }
    if (old != nullptr) Py_DECREF(object_of(old));
    return 0;
  });
}

PyObject* get_grad_fn(PyObject* self, void*) {
  const Node* node = value_of(self).node;
  if (node == nullptr || node->is_leaf()) Py_RETURN_NONE;
  return PyUnicode_FromString(node->program->name.c_str());
}

PyObject* get_strides(PyObject* self, void*) {
  PyObject* object = meta_object(value_of(self).meta);
  if (object == nullptr) return nullptr;
  PyObject* strides = PyObject_GetAttrString(object, "strides");
  Py_DECREF(object);
  return strides;
}

PyObject* data_ptr(PyObject* self, PyObject*) { return PyLong_FromVoidPtr(value_of(self).data); }
PyObject* is_contiguous(PyObject* self, PyObject*) { return PyBool_FromLong(meta(self)->contiguous); }

PyObject* detach(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* { return wrap(value_of(self).detached()); });
}

PyObject* assign(PyObject* self, PyObject* other) {
  return guarded([&]() -> PyObject* {
    expect_tensor(other, "assign", "other");
    const Meta *own = meta(self), *given = meta(other);
    if (!same_shape(own, given) || own->dtype != given->dtype || own->device != given->device) {
      Ref own_meta(meta_object(value_of(self).meta)), other_meta(meta_object(value_of(other).meta));
      PyErr_Format(PyExc_ValueError, "[assign] expected a Tensor of the same shape, dtype and device as %R, got %R",
                   own_meta.get(), other_meta.get());
      return nullptr;
    }
    check_writable_leaf(&handle_of(self), "assign");
    if (self != other) handle_assign(&handle_of(self), value_of(other));
    return Py_NewRef(self);
  });
}

PyMethodDef methods[] = {
    {"item", tensor_item, METH_NOARGS, "The one element, as a Python scalar."},
    {"tolist", tensor_tolist, METH_NOARGS, "The elements as nested lists (a scalar for a 0-d tensor)."},
    {"data_ptr", data_ptr, METH_NOARGS, "Address of the first element."},
    {"is_contiguous", is_contiguous, METH_NOARGS, "Whether the elements lie in row-major order without gaps."},
    {"detach", detach, METH_NOARGS, "The same value without its history."},
    {"assign", assign, METH_O,
     "assign(other): give this tensor the value of `other`, which has the same shape, dtype and device. Returns self."},
    {"backward", with_keywords(tensor_backward), METH_VARARGS | METH_KEYWORDS,
     "backward(gradient=None, retain_graph=False, create_graph=False): add d self / d x to x.grad of every leaf x."},
    {"register_hook", tensor_register_hook, METH_O,
     "register_hook(f): call f(gradient) when this tensor's gradient is known; a returned Tensor replaces it."},
    {"retain_grad", tensor_retain_grad, METH_NOARGS, "Keep the gradient of this tensor in .grad though it is no leaf."},
    {"requires_grad_", with_keywords(tensor_requires_grad), METH_VARARGS | METH_KEYWORDS,
     "requires_grad_(flag=True): set requires_grad. Returns self."},
    {"__complex__", tensor_complex, METH_NOARGS, "The one element as a complex."},
    {"__dlpack__", with_keywords(tensor_dlpack), METH_VARARGS | METH_KEYWORDS, "Export as the DLPack standard says."},
    {"__dlpack_device__", tensor_dlpack_device, METH_NOARGS, "(device type, device number) in DLPack's numbering."},
    {nullptr}};

PyObject* set_method(PyObject*, PyObject* args) {
  PyObject *name, *callable;
  if (!PyArg_ParseTuple(args, "UO", &name, &callable)) return nullptr;
  if (PyDict_SetItem(tensor_type.tp_dict, name, callable) != 0) return nullptr;
  PyType_Modified(&tensor_type);
  Py_RETURN_NONE;
}

PyObject* set_property(PyObject*, PyObject* args) {
  PyObject *name, *getter, *setter = Py_None;
  if (!PyArg_ParseTuple(args, "UO|O", &name, &getter, &setter)) return nullptr;
  Ref property(PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(&PyProperty_Type), getter, setter, nullptr));
  if (!property || PyDict_SetItem(tensor_type.tp_dict, name, property.get()) != 0) return nullptr;
  PyType_Modified(&tensor_type);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"set_method", set_method, METH_VARARGS, "set_method(name, callable): give Tensor a method."},
    {"set_property", set_property, METH_VARARGS, "set_property(name, getter, setter=None): give Tensor a property."},
    {nullptr}};

}  // namespace

PyTypeObject tensor_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

PyGetSetDef tensor_attributes[] = {
    {"shape", [](PyObject* self, void*) { return shape_object(value_of(self).meta); }},
    {"dtype", [](PyObject* self, void*) { return dtype_object(meta(self)->dtype); }},
    {"ndim", [](PyObject* self, void*) { return PyLong_FromLong(meta(self)->ndim); }},
    {"size", [](PyObject* self, void*) { return PyLong_FromLongLong(meta(self)->size); }},
    {"nbytes", [](PyObject* self, void*) { return PyLong_FromLongLong(meta(self)->nbytes); }},
    {"itemsize", [](PyObject* self, void*) { return PyLong_FromLongLong(itemsize(meta(self))); }},
    {"device", [](PyObject* self, void*) { return device_object(meta(self)->device); }},
    {"strides", get_strides, nullptr, "In elements."},
    {"meta", [](PyObject* self, void*) { return meta_object(value_of(self).meta); }},
    {"requires_grad", [](PyObject* self, void*) { return PyBool_FromLong(value_of(self).node != nullptr); }, set_requires_grad},
    {"is_leaf", [](PyObject* self, void*) { return PyBool_FromLong(handle_is_leaf(&handle_of(self))); }},
    {"grad", get_grad, set_grad},
    {"grad_fn", get_grad_fn, nullptr, "Name of the op that made it, if a gradient flows through it."},
    {nullptr}};

FreeTensors free_tensors;

PyObject* new_tensor_object() { return reinterpret_cast<PyObject*>(PyObject_New(PyTensor, &tensor_type)); }

void check_writable_leaf(const Handle* handle, const char* what) {
  if (handle->value.node == nullptr || handle->value.node->leaf != handle || !modes().grad_enabled) return;
  throw Error(ErrorKind::runtime, std::string("[") + what +
                                      "] a leaf that requires a gradient cannot be changed in place; do it under "
                                      "twain.no_grad(), or compute a new tensor");
}

bool add_tensor_type(PyObject* module) {
  tensor_type.tp_name = "twain.Tensor";
  tensor_type.tp_doc = "A handle to an immutable n-dimensional array; in-place operators give it another value.";
  tensor_type.tp_basicsize = sizeof(PyTensor);
  tensor_type.tp_flags = Py_TPFLAGS_DEFAULT;
  tensor_type.tp_dealloc = deallocate;
  tensor_type.tp_repr = represent;
  tensor_type.tp_weaklistoffset = offsetof(PyTensor, weak_references);
  tensor_type.tp_methods = methods;
  tensor_type.tp_getset = tensor_attributes;
  tensor_type.tp_as_buffer = &tensor_buffer;
  fill_operator_slots(&tensor_type);
  fill_read_slots(&tensor_type);
  return PyType_Ready(&tensor_type) == 0 &&
         PyModule_AddObject(module, "Tensor", Py_NewRef(reinterpret_cast<PyObject*>(&tensor_type))) == 0 &&
         PyModule_AddFunctions(module, functions) == 0 && PyModule_AddFunctions(module, tensor_operator_functions) == 0 &&
         PyModule_AddFunctions(module, exchange_functions) == 0 && PyModule_AddFunctions(module, reading_functions) == 0;
}

}  // namespace twain
