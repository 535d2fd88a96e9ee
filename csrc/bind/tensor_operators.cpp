// Operators of Tensor. The slot of an operator holds what set_operator gave it: usually an Op, which then needs no
// argument tuple.
#include <cstring>
#include <string>

#include "bind/call_memory.h"
#include "bind/op_type.h"
#include "bind/tensor_type.h"
#include "dispatch/error.h"

namespace twain {
namespace {

enum Slot {
  add, subtract, multiply, true_divide, floor_divide, remainder, power, matrix_multiply, bit_and, bit_or, bit_xor,
  lshift, rshift, negative, positive, absolute, invert, eq, ne, lt, le, gt, ge, divmod, getitem, setitem, contains,
  cast_like, slot_count
};
const char* const slot_names[slot_count] = {
    "add", "subtract", "multiply", "true_divide", "floor_divide", "remainder", "power", "matrix_multiply", "and", "or",
    "xor", "lshift", "rshift", "negative", "positive", "absolute", "invert", "eq", "ne", "lt", "le", "gt", "ge",
    "divmod", "getitem", "setitem", "contains", "cast_like"};

struct Operator {
  PyOp* op;            // if the callable is an Op
  PyObject* callable;  // owned; null: not set
};
Operator operators[slot_count];

PyObject* not_implemented() { return Py_NewRef(Py_NotImplemented); }

PyObject* call_op(PyOp* op, PyObject* a, PyObject* b) {
  const uint32_t count = b == nullptr ? 1 : 2;
  Arguments arguments(count);
  bool traced = false;
  for (uint32_t i = 0; i < count; ++i) {
    const Arguments::Outcome outcome = arguments.set(op, i, i == 0 ? a : b, true);
    if (outcome == Arguments::Outcome::unsupported) return not_implemented();
    traced = traced || outcome == Arguments::Outcome::symbol;
  }
  Attrs* attrs = default_attrs(op);
  if (traced) {
    Ref args = checked(b == nullptr ? PyTuple_Pack(1, a) : PyTuple_Pack(2, a, b));
    return call_trace(op, attrs, args.get());
  }
  return run_op(op, attrs, arguments);
}

PyObject* call_slot(Slot slot, PyObject* a, PyObject* b) {
  const Operator& target = operators[slot];
  return guarded([&]() -> PyObject* {
    if (target.op != nullptr) return call_op(target.op, a, b);
    if (target.callable == nullptr) return not_implemented();
    return b == nullptr ? PyObject_CallOneArg(target.callable, a)
                        : PyObject_CallFunctionObjArgs(target.callable, a, b, nullptr);
  });
}

// Whether a number needs no second look before it is combined with a tensor (see IntScalars).
bool fits_beside(const PyOp* op, const Value& scalar, const Value& tensor) {
  if (scalar.meta->dtype != DType::weak_int || op->int_scalars == IntScalars::any) return true;
  int64_t number;
  std::memcpy(&number, scalar.data, sizeof number);
  return int_fits(tensor.meta->dtype, number) && (number >= 0 || op->int_scalars != IntScalars::power);
}

// A tensor and a Python number.
PyObject* binary_slow(Slot slot, PyObject* a, PyObject* b) {
  PyOp* op = operators[slot].op;
  const bool left = is_tensor(a);
  PyObject* other = left ? b : a;
  if (op != nullptr && op->has_default && (PyFloat_CheckExact(other) || PyLong_CheckExact(other))) {
    try {
      Value scalar, output;
      int huge = 0;
      if (scalar_value(op, other, &scalar, &huge) && huge == 0 && fits_beside(op, scalar, value_of(left ? a : b)) &&
          dispatch_fast(&op->op, op->default_attrs, left ? &value_of(a) : &scalar, left ? &scalar : &value_of(b), output))
        return wrap(std::move(output));
    } catch (...) {
      set_python_error();
      return nullptr;
    }
  }
  return call_slot(slot, a, b);
}

template <Slot slot>
PyObject* binary(PyObject* a, PyObject* b) {
  PyOp* op = operators[slot].op;
  if (op != nullptr && is_tensor(a) && is_tensor(b) && op->has_default) [[likely]] {
    try {
      Value output;
      if (dispatch_fast(&op->op, op->default_attrs, &value_of(a), &value_of(b), output)) [[likely]]
        return wrap(std::move(output));
    } catch (...) {
      set_python_error();
      return nullptr;
    }
    return call_slot(slot, a, b);
  }
  return binary_slow(slot, a, b);
}

template <Slot slot>
PyObject* unary(PyObject* a) {
  PyOp* op = operators[slot].op;
  if (op != nullptr && op->has_default) [[likely]] {
    try {
      Value output;
      if (dispatch_fast(&op->op, op->default_attrs, &value_of(a), nullptr, output)) [[likely]]
        return wrap(std::move(output));
    } catch (...) {
      set_python_error();
      return nullptr;
    }
  }
  return call_slot(slot, a, nullptr);
}

// x op= y for a known simple program that keeps x's description, where nothing is to be recorded. False: nothing has
// happened.
bool in_place_fast(const PyOp* op, Handle& handle, const Value& other) {
  Value& value = handle.value;
  const Modes& current = modes();
  if (current.watched() || handle.retains_grad) return false;
  if (value.node != nullptr || other.node != nullptr)
    if (current.grad_enabled || !handle_is_leaf(&handle)) return false;
  Program* program = table_find(op->op.id, attrs_id(op->default_attrs), value.meta->id, other.meta->id, 2);
  if (program == nullptr || !program->simple || program->simple_output != value.meta) return false;
  const std::vector<uint32_t>& reuse = program->outputs[0].reuse;
  if (program->in_order && !reuse.empty() && reuse[0] == 0 && storage_writable(value.storage) &&
      value.storage != other.storage) {
    void* const buffers[3] = {value.data, other.data, value.data};
    program->kernel(buffers, program->simple_params, 0, program->total);
    value.trace = 0;
  } else {
    handle_assign(&handle, detail::run_simple(program, &value, &other));
  }
  return true;
}

// bool < integers < floating < complex: an in-place operator casts its result within a kind and upwards.
int kind_rank(DType dtype) {
  if (dtype == DType::boolean || dtype == DType::weak_bool) return 0;
  if (dtype <= DType::uint64 || dtype == DType::weak_int) return 1;
  return dtype <= DType::float64 || dtype == DType::weak_float ? 2 : 3;
}

// Whether a result of both dtypes has the first one's, so that it can be computed in place.
bool outranks(const Meta* own, const Meta* other) {
  const int rank = kind_rank(own->dtype), beside = kind_rank(other->dtype);
  if (own->dtype == other->dtype) return true;
  if (rank == beside) return itemsize(own) > itemsize(other);
  return rank > beside && (rank < 3 || beside < 2 || itemsize(own) >= 2 * itemsize(other));
}

// x op= y where the result's dtype may be another than x's: computed, cast, and put into the handle.
PyObject* in_place_mixed(Slot slot, PyObject* self, PyObject* other) {
  Ref result = checked(call_slot(slot, self, other));
  if (result.get() == Py_NotImplemented) return result.release();
  Handle& handle = handle_of(self);
  const Meta *own = handle.value.meta, *given = value_of(expect_tensor(result.get(), slot_names[slot], "a result")).meta;
  if (!same_shape(own, given) || kind_rank(given->dtype) > kind_rank(own->dtype))
    throw Error(ErrorKind::type, std::string("[") + slot_names[slot] + "] expected an in-place result that fits " +
                                     describe(own) + ", got " + describe(given) + "; write x = x op y for a new tensor");
  if (own->dtype != given->dtype)
    result = checked(PyObject_CallFunctionObjArgs(operators[cast_like].callable, result.get(), self, nullptr));
  handle_assign(&handle, value_of(result.get()));
  return Py_NewRef(self);
}

// x op= y: the op's result becomes the value of the handle x; its memory is reused if nobody else holds it.
PyObject* in_place(Slot slot, PyObject* self, PyObject* other) {
  const Operator& target = operators[slot];
  if (target.callable == nullptr || !is_tensor(self)) return not_implemented();
  return guarded([&]() -> PyObject* {
    Handle& handle = handle_of(self);
    check_writable_leaf(&handle, slot_names[slot]);
    if (target.op == nullptr) {
      Ref result = checked(PyObject_CallFunctionObjArgs(target.callable, self, other, nullptr));
      if (result.get() == Py_NotImplemented) return result.release();
      expect_tensor(result.get(), slot_names[slot], "an in-place result");
      const Meta *own = handle.value.meta, *given = value_of(result.get()).meta;
      if (own->dtype != given->dtype || !same_shape(own, given))
        throw Error(ErrorKind::type, std::string("[") + slot_names[slot] + "] an in-place result must keep shape and dtype");
      handle_assign(&handle, value_of(result.get()));
      return Py_NewRef(self);
    }
    if (is_tensor(other) && target.op->has_default && in_place_fast(target.op, handle, value_of(other)))
      return Py_NewRef(self);
    if (is_tensor(other) && operators[cast_like].callable != nullptr && !outranks(handle.value.meta, value_of(other).meta))
      return in_place_mixed(slot, self, other);
    Arguments arguments(2);
    for (uint32_t i = 0; i < 2; ++i)
      if (arguments.set(target.op, i, i == 0 ? self : other, true) != Arguments::Outcome::ok) return not_implemented();
    arguments.fit_ints(target.op);
    if (target.op->has_default && in_place_fast(target.op, handle, *arguments.inputs()[1])) return Py_NewRef(self);
    Call call;
    call.op = &target.op->op;
    call.attrs = default_attrs(target.op);
    call.inputs = arguments.inputs();
    call.handles = arguments.handles();
    call.count = 2;
    call.donated = 1;
    call.like = handle.value.meta;
    Values outputs;
    dispatch(call, outputs);
    handle_assign(&handle, std::move(outputs[0]));
    return Py_NewRef(self);
  });
}

template <Slot slot>
PyObject* inplace(PyObject* self, PyObject* other) {
  return in_place(slot, self, other);
}

PyObject* power_slot(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) return not_implemented();
  return binary<power>(a, b);
}
PyObject* power_in_place(PyObject* a, PyObject* b, PyObject*) { return in_place(power, a, b); }

PyObject* compare(PyObject* a, PyObject* b, int operation) {
  switch (operation) {
    case Py_EQ: return binary<eq>(a, b);
    case Py_NE: return binary<ne>(a, b);
    case Py_LT: return binary<lt>(a, b);
    case Py_LE: return binary<le>(a, b);
    case Py_GT: return binary<gt>(a, b);
    default: return binary<ge>(a, b);
  }
}

PyObject* subscript(PyObject* self, PyObject* index) {
  if (PyObject* view = basic_view(self, index); view != nullptr || PyErr_Occurred()) return view;
  if (operators[getitem].callable == nullptr) {
    PyErr_SetString(PyExc_TypeError, "[getitem] no indexing is installed");
    return nullptr;
  }
  PyObject* const arguments[2] = {self, index};
  return PyObject_Vectorcall(operators[getitem].callable, arguments, 2, nullptr);
}

PyObject* sequence_item(PyObject* self, Py_ssize_t i) {
  const Meta* meta = value_of(self).meta;
  if (meta->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "[iter] a 0-d tensor has no rows; use x.item() for its value");
    return nullptr;
  }
  if (i < 0 || i >= meta->shape[0]) {
    PyErr_SetString(PyExc_IndexError, "[getitem] row out of range");
    return nullptr;
  }
  Ref index(PyLong_FromSsize_t(i));
  return index ? subscript(self, index.get()) : nullptr;
}

// Is this the only reference, held by the interpreter's stack alone? Then the write would be lost.
bool is_unnamed(PyObject* self) {
#if PY_VERSION_HEX >= 0x030E0000
  return PyUnstable_Object_IsUniqueReferencedTemporary(self) != 0;
#else
  return Py_REFCNT(self) == 1;
#endif
}

int assign_subscript(PyObject* self, PyObject* index, PyObject* value) {
  if (value == nullptr) {
    PyErr_SetString(PyExc_TypeError, "[setitem] elements of a tensor cannot be deleted");
    return -1;
  }
  if (is_unnamed(self)) {
    PyErr_SetString(PyExc_TypeError,
                    "[setitem] this writes to a temporary tensor and would be lost:\n"
                    "    x[0][1] = 5    # x[0] is a new tensor without a name\n"
                    "Indexing makes a new value that shares memory only until someone writes. Index once instead:\n"
                    "    x[0, 1] = 5");
    return -1;
  }
  if (basic_write(self, index, value)) return 0;
  return guarded_int([&] {
    if (operators[setitem].callable == nullptr) throw Error(ErrorKind::type, "[setitem] no indexing is installed");
    check_writable_leaf(&handle_of(self), "setitem");
    checked(PyObject_CallFunctionObjArgs(operators[setitem].callable, self, index, value, nullptr));
    return 0;
  });
}

int has_element(PyObject* self, PyObject* value) {
  return guarded_int([&] {
    if (operators[contains].callable == nullptr) throw Error(ErrorKind::type, "[contains] nothing is installed");
    Ref found = checked(PyObject_CallFunctionObjArgs(operators[contains].callable, self, value, nullptr));
    return PyObject_IsTrue(found.get());
  });
}

PyNumberMethods number;
PyMappingMethods mapping;
PySequenceMethods sequence;

PyObject* set_operator(PyObject*, PyObject* args) {
  const char* name;
  PyObject* callable;
  if (!PyArg_ParseTuple(args, "sO", &name, &callable)) return nullptr;
  for (int slot = 0; slot < slot_count; ++slot)
    if (std::strcmp(name, slot_names[slot]) == 0) {
      if (slot == getitem) forget_calls();
      operators[slot].op = is_op(callable) ? as_op(callable) : nullptr;
      PyObject* previous = std::exchange(operators[slot].callable, callable == Py_None ? nullptr : Py_NewRef(callable));
      return previous == nullptr ? Py_NewRef(Py_None) : previous;
    }
  PyErr_Format(PyExc_ValueError, "[set_operator] unknown operator '%s'", name);
  return nullptr;
}

}  // namespace

PyMethodDef tensor_operator_functions[] = {
    {"set_operator", set_operator, METH_VARARGS,
     "set_operator(name, callable): what Tensor's operator does; an Op is fastest; returns the previous one.\n\nNames: add subtract multiply "
     "true_divide floor_divide remainder power matrix_multiply and or xor lshift rshift negative positive absolute "
     "invert eq ne lt le gt ge divmod getitem setitem contains."},
    {nullptr}};

void fill_operator_slots(PyTypeObject* type) {
  number.nb_add = binary<add>;
  number.nb_subtract = binary<subtract>;
  number.nb_multiply = binary<multiply>;
  number.nb_true_divide = binary<true_divide>;
  number.nb_floor_divide = binary<floor_divide>;
  number.nb_remainder = binary<remainder>;
  number.nb_power = power_slot;
  number.nb_matrix_multiply = binary<matrix_multiply>;
  number.nb_and = binary<bit_and>;
  number.nb_or = binary<bit_or>;
  number.nb_xor = binary<bit_xor>;
  number.nb_lshift = binary<lshift>;
  number.nb_rshift = binary<rshift>;
  number.nb_divmod = binary<divmod>;
  number.nb_negative = unary<negative>;
  number.nb_positive = unary<positive>;
  number.nb_absolute = unary<absolute>;
  number.nb_invert = unary<invert>;
  number.nb_inplace_add = inplace<add>;
  number.nb_inplace_subtract = inplace<subtract>;
  number.nb_inplace_multiply = inplace<multiply>;
  number.nb_inplace_true_divide = inplace<true_divide>;
  number.nb_inplace_floor_divide = inplace<floor_divide>;
  number.nb_inplace_remainder = inplace<remainder>;
  number.nb_inplace_power = power_in_place;
  number.nb_inplace_matrix_multiply = inplace<matrix_multiply>;
  number.nb_inplace_and = inplace<bit_and>;
  number.nb_inplace_or = inplace<bit_or>;
  number.nb_inplace_xor = inplace<bit_xor>;
  number.nb_inplace_lshift = inplace<lshift>;
  number.nb_inplace_rshift = inplace<rshift>;
  mapping.mp_subscript = subscript;
  mapping.mp_ass_subscript = assign_subscript;
  sequence.sq_item = sequence_item;
  sequence.sq_contains = has_element;
  type->tp_as_number = &number;
  type->tp_as_mapping = &mapping;
  type->tp_as_sequence = &sequence;
  type->tp_richcompare = compare;
  type->tp_hash = [](PyObject* self) -> Py_hash_t {  // by identity
    if (modes().recorder != nullptr) [[unlikely]] {  // the order of a set of tensors is that of their addresses
      const int reported = guarded_int([&] {
        report_read(self, "hash");
        return 0;
      });
      if (reported < 0) return -1;
    }
    const auto address = reinterpret_cast<uintptr_t>(self);
    return static_cast<Py_hash_t>(address >> 4 | address << (8 * sizeof(address) - 4)) & PY_SSIZE_T_MAX;
  };
}

}  // namespace twain
