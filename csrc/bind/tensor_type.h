// The Tensor type is made of several files; each contributes a table of slots, methods or attributes.
#pragma once
#include "bind/python.h"

namespace twain {

void fill_operator_slots(PyTypeObject* type);  // tensor_operators.cpp
void fill_read_slots(PyTypeObject* type);      // tensor_reads.cpp
extern PyBufferProcs tensor_buffer;            // tensor_exchange.cpp
extern PyMethodDef tensor_operator_functions[];  // of the module: set_operator
extern PyMethodDef exchange_functions[];         // of the module: from_buffer, from_dlpack, ...
extern PyGetSetDef tensor_attributes[];

// Methods with plain C signatures, gathered in tensor_type.cpp.
PyObject* tensor_item(PyObject* self, PyObject*);
PyObject* tensor_tolist(PyObject* self, PyObject*);
PyObject* tensor_complex(PyObject* self, PyObject*);
PyObject* tensor_dlpack(PyObject* self, PyObject* args, PyObject* kwargs);
PyObject* tensor_dlpack_device(PyObject* self, PyObject*);
PyObject* tensor_backward(PyObject* self, PyObject* args, PyObject* kwargs);
PyObject* tensor_register_hook(PyObject* self, PyObject* function);
PyObject* tensor_retain_grad(PyObject* self, PyObject*);
PyObject* tensor_requires_grad(PyObject* self, PyObject* args, PyObject* kwargs);

// Indexing without Python (basic_indexing.cpp). Null or false and no error set: not a case for them, nothing has happened.
PyObject* basic_view(PyObject* self, PyObject* key);
bool basic_write(PyObject* self, PyObject* key, PyObject* value);

inline PyCFunction with_keywords(PyObject* (*function)(PyObject*, PyObject*, PyObject*)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// Refuses to write to a leaf that requires a gradient while the tape is on. Throws Error.
void check_writable_leaf(const Handle* handle, const char* what);

}  // namespace twain
