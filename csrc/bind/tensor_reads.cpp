// Reading values out of a tensor: item, tolist, bool, int, float, complex, index, len, iteration.
#include <string>

#include "bind/tensor_type.h"
#include "dispatch/error.h"
#include "tensor/scalar.h"

namespace twain {

PyObject* scalar_object(DType dtype, const void* element) {
  const Scalar scalar = read_scalar(dtype, element);
  switch (scalar.kind) {
    case Scalar::boolean: return PyBool_FromLong(scalar.i != 0);
    case Scalar::integer: return PyLong_FromLongLong(scalar.i);
    case Scalar::unsigned_integer: return PyLong_FromUnsignedLongLong(scalar.u);
    case Scalar::real: return PyFloat_FromDouble(scalar.r);
    case Scalar::complex_number: return PyComplex_FromDoubles(scalar.c.real(), scalar.c.imag());
  }
  return nullptr;
}

namespace {

// The only element. Other sizes are an error that says what to do.
PyObject* only_element(PyObject* self, const char* function) {
  report_read(self, function);
  const Value& value = value_of(self);
  if (value.meta->size != 1) {
    Ref shape(shape_object(value.meta));
    const bool truth = std::string(function) == "bool";
    PyErr_Format(truth ? PyExc_ValueError : PyExc_TypeError, "[%s] expected a tensor of one element, got shape %S%s", function, shape.get(),
                 truth ? ": use any() or all(), or where() to choose element by element" : "");
    return nullptr;
  }
  return scalar_object(value.meta->dtype, value.data);
}

template <typename Convert>
PyObject* converted(PyObject* self, const char* function, Convert convert) {
  return guarded([&]() -> PyObject* {
    Ref scalar(only_element(self, function));
    return scalar ? convert(scalar.get()) : nullptr;
  });
}

int truth(PyObject* self) {
  return guarded_int([&] {
    Ref scalar(only_element(self, "bool"));
    return scalar ? PyObject_IsTrue(scalar.get()) : -1;
  });
}

// int(x) and float(x): of real numbers only.
PyObject* real_number(PyObject* self, const char* function, PyObject* (*convert)(PyObject*)) {
  const Meta* meta = value_of(self).meta;
  if (meta->dtype == DType::complex64 || meta->dtype == DType::complex128) {
    PyErr_Format(PyExc_TypeError, "[%s] expected a real tensor, got %s; take .real, .imag or abs() first", function,
                 info(meta->dtype).name);
    return nullptr;
  }
  return converted(self, function, convert);
}

PyObject* to_int(PyObject* self) { return real_number(self, "int", PyNumber_Long); }
PyObject* to_float(PyObject* self) { return real_number(self, "float", PyNumber_Float); }
PyObject* to_index(PyObject* self) {
  const Meta* meta = value_of(self).meta;
  const bool integer = (meta->dtype >= DType::int8 && meta->dtype <= DType::uint64) || meta->dtype == DType::weak_int;
  if (!integer || meta->ndim != 0) {
    PyErr_Format(PyExc_TypeError, "[index] expected a 0-d tensor of an integer dtype, got %d-d %s", meta->ndim, info(meta->dtype).name);
    return nullptr;
  }
  return converted(self, "index", [](PyObject* scalar) { return Py_NewRef(scalar); });
}

Py_ssize_t length(PyObject* self) {
  const Meta* meta = value_of(self).meta;
  if (meta->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "[len] a 0-d tensor has no length");
    return -1;
  }
  return static_cast<Py_ssize_t>(meta->shape[0]);
}

PyObject* rows(PyObject* self) {
  if (value_of(self).meta->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "[iter] a 0-d tensor has no rows; use x.item() for its value");
    return nullptr;
  }
  return PySeqIter_New(self);
}

PyObject* nested(const Meta* meta, const char* data, int axis) {
  if (axis == meta->ndim) return scalar_object(meta->dtype, data);
  Ref list(PyList_New(static_cast<Py_ssize_t>(meta->shape[axis])));
  const int64_t step = meta->strides[axis] * itemsize(meta);
  for (int64_t i = 0; list && i < meta->shape[axis]; ++i) {
    PyObject* item = nested(meta, data + i * step, axis + 1);
    if (item == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), item);
  }
  return list.release();
}

}  // namespace

PyObject* tensor_item(PyObject* self, PyObject*) {
  return converted(self, "item", [](PyObject* scalar) { return Py_NewRef(scalar); });
}

PyObject* tensor_tolist(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    report_read(self, "tolist");
    const Value value = value_of(self);
    return nested(value.meta, value.data, 0);
  });
}

PyObject* tensor_complex(PyObject* self, PyObject*) {
  return converted(self, "complex", [](PyObject* scalar) -> PyObject* {
    const Py_complex number = PyComplex_AsCComplex(scalar);
    return PyErr_Occurred() ? nullptr : PyComplex_FromCComplex(number);
  });
}

void fill_read_slots(PyTypeObject* type) {
  type->tp_as_number->nb_bool = truth;
  type->tp_as_number->nb_int = to_int;
  type->tp_as_number->nb_float = to_float;
  type->tp_as_number->nb_index = to_index;
  type->tp_as_mapping->mp_length = length;
  type->tp_as_sequence->sq_length = length;
  type->tp_iter = rows;
}

}  // namespace twain
