#include "bind/op_type.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>

#include "dispatch/error.h"
#include "tensor/scalar.h"

namespace twain {

bool scalar_value(PyOp* op, PyObject* object, Value* value, int* huge) {
  if (PyFloat_CheckExact(object)) {
    *value = weak_float(PyFloat_AS_DOUBLE(object));
  } else if (PyLong_CheckExact(object)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (number == -1 && PyErr_Occurred()) throw CallbackFailed();
    if (overflow != 0) {
      if (huge == nullptr) {
        PyErr_Format(PyExc_OverflowError, "[%U] expected an int that fits in 64 bits, got %R", op->name, object);
        throw CallbackFailed();
      }
      *huge = overflow;
    }
    *value = weak_int(number);
  } else if (PyBool_Check(object)) {
    *value = weak_bool(object == Py_True);
  } else if (PyComplex_CheckExact(object)) {
    const Py_complex number = PyComplex_AsCComplex(object);
    *value = weak_complex({number.real, number.imag});
  } else {
    return false;
  }
  return true;
}

bool int_fits(DType dtype, int64_t number) {
  switch (dtype) {
    case DType::int8: return number == static_cast<int8_t>(number);
    case DType::int16: return number == static_cast<int16_t>(number);
    case DType::int32: return number == static_cast<int32_t>(number);
    case DType::uint8: return number == static_cast<uint8_t>(number);
    case DType::uint16: return number == static_cast<uint16_t>(number);
    case DType::uint32: return number == static_cast<uint32_t>(number);
    case DType::uint64: return number >= 0;
    default: return true;
  }
}

void Arguments::fit(PyOp* op) {
  bool inexact = op->int_scalars == IntScalars::floating;
  const Meta* holder = nullptr;  // the widest of the tensors' integer dtypes
  for (uint32_t i = 0; i < count(); ++i) {
    if (inputs_[i] == nullptr) continue;
    const Meta* meta = inputs_[i]->meta;
    if (meta->dtype >= DType::int8 && meta->dtype <= DType::uint64) {
      if (holder == nullptr || itemsize(meta) > itemsize(holder)) holder = meta;
    } else if (meta->dtype != DType::boolean && meta->dtype != DType::weak_bool && meta->dtype != DType::weak_int) {
      inexact = true;
    }
  }
  for (uint32_t i = 0; i < count(); ++i) {
    if (inputs_[i] != &scalars_[i] || scalars_[i].meta->dtype != DType::weak_int) continue;
    int64_t number;
    std::memcpy(&number, scalars_[i].data, sizeof number);
    const bool huge = huge_ != nullptr && i == huge_position_;
    if (inexact) {
      if (!huge) continue;
      double rounded = PyLong_AsDouble(huge_);
      if (rounded == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw CallbackFailed();
        PyErr_Clear();
        rounded = number < 0 ? -HUGE_VAL : HUGE_VAL;
      }
      scalars_[i] = weak_float(rounded);
      continue;
    }
    if (op->int_scalars == IntScalars::power && i == 1 && number < 0) {
      PyErr_Format(PyExc_ValueError, "[%U] expected an exponent of at least 0 for integers, got %lld; cast to a floating dtype first",
                   op->name, static_cast<long long>(number));
      throw CallbackFailed();
    }
    if (!huge && (holder == nullptr || int_fits(holder->dtype, number))) continue;
    if (huge && holder != nullptr && holder->dtype == DType::uint64) {
      const unsigned long long natural = PyLong_AsUnsignedLongLong(huge_);
      if (!PyErr_Occurred()) {
        Value value = filled(meta_intern(DType::uint64, nullptr, nullptr, 0, holder->device), 0.0);
        std::memcpy(value.data, &natural, sizeof natural);
        scalars_[i] = std::move(value);
        continue;
      }
      if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw CallbackFailed();
      PyErr_Clear();
    }
    if (op->int_scalars == IntScalars::compared) {
      const bool negative = number < 0;
      scalars_[i] = weak_float(negative ? -HUGE_VAL : HUGE_VAL);
      continue;
    }
    Ref text = huge ? Ref(Py_NewRef(huge_)) : checked(PyLong_FromLongLong(number));
    PyErr_Format(PyExc_OverflowError, "[%U] expected an int that %s holds, got %R; cast the tensor with .astype(...) first",
                 op->name, holder == nullptr ? "int64" : info(holder->dtype).name, text.get());
    throw CallbackFailed();
  }
}

namespace {

[[noreturn]] void refuse_argument(const PyOp* op, uint32_t position, PyObject* given) {
  Ref name(op->arity >= 0 && op->argument_names != nullptr && position < PyTuple_GET_SIZE(op->argument_names)
               ? Py_NewRef(PyTuple_GET_ITEM(op->argument_names, position))
               : PyUnicode_FromFormat(op->arity < 0 ? "item %u" : "argument %u", position));
  const bool data = PyList_Check(given) || PyTuple_Check(given);
  if (name)
    PyErr_Format(PyExc_TypeError, "[%U] expected %U to be a Tensor, an array or a number, got %s%s", op->name, name.get(),
                 given == Py_None ? "None" : Py_TYPE(given)->tp_name, data ? "; twain.asarray(...) makes a tensor of it" : "");
  throw CallbackFailed();
}

}  // namespace

Arguments::Outcome Arguments::set(PyOp* op, uint32_t position, PyObject* object, bool operand) {
  PyObject* const given = object;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (is_tensor(object)) {
      handles_[position] = attempt == 0 ? &handle_of(object) : nullptr;
      inputs_[position] = &value_of(object);
      return Outcome::ok;
    }
    int huge = 0;
    if (scalar_value(op, object, &scalars_[position], op->int_scalars == IntScalars::any ? nullptr : &huge)) {
      inputs_[position] = &scalars_[position];
      if (scalars_[position].meta->dtype == DType::weak_int) has_ints_ = true;
      if (huge != 0) {
        huge_ = object;
        huge_position_ = position;
        scalars_[position] = weak_int(huge < 0 ? INT64_MIN : INT64_MAX);
      }
      return Outcome::ok;
    }
    if (object == Py_None && !operand) return Outcome::ok;
    if (is_symbol(object)) return Outcome::symbol;
    if (attempt == 1 || callbacks.convert == nullptr) break;
    object = kept_[position] = checked_rule(PyObject_CallFunction(callbacks.convert, "OIO", op, position, object)).release();
    if (object == Py_NotImplemented) break;
  }
  if (operand) return Outcome::unsupported;
  refuse_argument(op, position, given);
}

PyObject* results_object(PyOp* op, Values& outputs) {
  if (outputs.size() == 1 && !op->multiple_results) return wrap(std::move(outputs[0]));
  Ref tuple(PyTuple_New(static_cast<Py_ssize_t>(outputs.size())));
  for (size_t i = 0; tuple && i < outputs.size(); ++i) {
    PyObject* tensor = wrap(std::move(outputs[i]));
    if (tensor == nullptr) return nullptr;
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), tensor);
  }
  return tuple.release();
}

PyObject* call_trace(PyOp* op, Attrs* attrs, PyObject* args_tuple) {
  if (callbacks.trace == nullptr) throw Error(ErrorKind::runtime, "no trace callback is installed");
  return PyObject_CallFunctionObjArgs(callbacks.trace, op, attrs_object(attrs), args_tuple, nullptr);
}

PyObject* run_op(PyOp* op, Attrs* attrs, Arguments& arguments) {
  arguments.fit_ints(op);
  const Value* const* inputs = arguments.inputs();
  const uint32_t count = arguments.count();
  if ((count == 1 || (count == 2 && inputs[1] != nullptr)) && inputs[0] != nullptr && !op->multiple_results) {
    Value output;
    if (dispatch_fast(&op->op, attrs, inputs[0], count == 2 ? inputs[1] : nullptr, output)) return wrap(std::move(output));
  }
  Call call;
  call.op = &op->op;
  call.attrs = attrs;
  call.inputs = inputs;
  call.handles = arguments.handles();
  call.count = count;
  Values outputs;
  dispatch(call, outputs);
  return results_object(op, outputs);
}

namespace {

struct AttrsHolder {
  Attrs* attrs;
  ~AttrsHolder() { attrs_release(attrs); }
};

// Which argument position a keyword fills, or -1: it is static.
Py_ssize_t argument_position(const PyOp* op, PyObject* keyword) {
  if (op->argument_names == nullptr) return -1;
  const Py_ssize_t count = std::min<Py_ssize_t>(PyTuple_GET_SIZE(op->argument_names), op->arity < 0 ? 1 : op->arity);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(op->argument_names, i);
    if (name == keyword) return i;
    if (PyUnicode_CHECK_INTERNED(name) && PyUnicode_CHECK_INTERNED(keyword)) continue;
    if (PyUnicode_Compare(name, keyword) == 0) return i;
  }
  return -1;
}

// The one list of an op of any number of tensors.
PyObject* call_list(PyOp* op, PyObject* list, Attrs* attrs) {
  if (is_symbol(list) || !(PyList_Check(list) || PyTuple_Check(list))) {
    PyErr_Format(PyExc_TypeError, "[%U] expected a list or tuple of tensors, got %s", op->name, Py_TYPE(list)->tp_name);
    return nullptr;
  }
  Ref items = checked(PySequence_Tuple(list));
  const auto count = static_cast<uint32_t>(PyTuple_GET_SIZE(items.get()));
  Arguments arguments(count);
  for (uint32_t i = 0; i < count; ++i)
    if (arguments.set(op, i, PyTuple_GET_ITEM(items.get(), i), false) == Arguments::Outcome::symbol) {
      Ref args = checked(PyTuple_Pack(1, items.get()));
      return call_trace(op, attrs, args.get());
    }
  return run_op(op, attrs, arguments);
}

PyObject* call_general(PyOp* op, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  const Py_ssize_t tensor_count = op->arity < 0 ? 1 : op->arity;
  const Py_ssize_t keyword_count = kwnames == nullptr ? 0 : PyTuple_GET_SIZE(kwnames);
  SmallArray<PyObject*, 4> tensors(static_cast<size_t>(tensor_count));
  Statics statics;
  if (nargs + keyword_count > 0) {
    statics.names.resize(static_cast<size_t>(nargs + keyword_count));
    statics.values.resize(static_cast<size_t>(nargs + keyword_count));
  }
  for (Py_ssize_t i = 0; i < nargs; ++i) {
    if (i < tensor_count)
      tensors[static_cast<size_t>(i)] = args[i];
    else
      statics.values[static_cast<size_t>(statics.count++)] = args[i];
  }
  for (Py_ssize_t i = 0; i < keyword_count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, i);
    const Py_ssize_t position = argument_position(op, name);
    if (position < 0) {
      statics.names[static_cast<size_t>(statics.count)] = name;
      statics.values[static_cast<size_t>(statics.count++)] = args[nargs + i];
    } else if (tensors[static_cast<size_t>(position)] != nullptr) {
      PyErr_Format(PyExc_TypeError, "[%U] got two values for argument '%U'", op->name, name);
      return nullptr;
    } else {
      tensors[static_cast<size_t>(position)] = args[nargs + i];
    }
  }
  if (tensor_count > 0 && tensors[0] == nullptr) {
    PyErr_Format(PyExc_TypeError, "[%U] expected %zd tensor argument%s, got %zd", op->name, tensor_count,
                 tensor_count == 1 ? "" : "s", nargs);
    return nullptr;
  }
  AttrsHolder holder{resolve_attrs(op, statics)};
  if (op->arity < 0) return call_list(op, tensors[0], holder.attrs);
  Arguments arguments(static_cast<uint32_t>(tensor_count));
  bool traced = false;
  for (Py_ssize_t i = 0; i < tensor_count && !traced; ++i)
    if (tensors[static_cast<size_t>(i)] != nullptr)
      traced = arguments.set(op, static_cast<uint32_t>(i), tensors[static_cast<size_t>(i)], false) == Arguments::Outcome::symbol;
  if (!traced && modes().tracing)
    traced = std::none_of(tensors.begin(), tensors.end(), [](PyObject* item) { return item != nullptr && is_tensor(item); });
  if (!traced) return run_op(op, holder.attrs, arguments);
  Ref tuple = checked(PyTuple_New(tensor_count));
  for (Py_ssize_t i = 0; i < tensor_count; ++i) {
    PyObject* item = tensors[static_cast<size_t>(i)];
    PyTuple_SET_ITEM(tuple.get(), i, Py_NewRef(item == nullptr ? Py_None : item));
  }
  return call_trace(op, holder.attrs, tuple.get());
}

PyObject* vectorcall(PyObject* self, PyObject* const* args, size_t flags, PyObject* kwnames) {
  PyOp* op = as_op(self);
  const Py_ssize_t nargs = PyVectorcall_NARGS(flags);
  return guarded([&]() -> PyObject* {
    if (nargs == op->arity && kwnames == nullptr && nargs > 0 && nargs <= 2 && is_tensor(args[0]) &&
        (nargs == 1 || is_tensor(args[1])) && op->has_default && !op->multiple_results) [[likely]] {
      Value output;
      if (dispatch_fast(&op->op, op->default_attrs, &value_of(args[0]), nargs == 2 ? &value_of(args[1]) : nullptr, output))
        return wrap(std::move(output));
    }
    return call_general(op, args, nargs, kwnames);
  });
}

// apply(inputs, attrs=None, donate=0, into=None): a call with attrs at hand. `donate` has a bit per input that the
// caller will not read again; `into` has, per output, a Tensor that takes the result, or None.
PyObject* apply(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"inputs", "attrs", "donate", "into", nullptr};
  PyObject *inputs, *attrs_given = Py_None, *into = Py_None;
  unsigned long long donate = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OKO", const_cast<char**>(names), &inputs, &attrs_given, &donate, &into))
    return nullptr;
  PyOp* op = as_op(self);
  return guarded([&]() -> PyObject* {
    Ref items = checked(PySequence_Tuple(inputs));
    AttrsHolder holder{intern_attrs(attrs_given)};
    const auto count = static_cast<uint32_t>(PyTuple_GET_SIZE(items.get()));
    Arguments arguments(count);
    for (uint32_t i = 0; i < count; ++i)
      if (arguments.set(op, i, PyTuple_GET_ITEM(items.get(), i), false) == Arguments::Outcome::symbol)
        return call_trace(op, holder.attrs, items.get());
    arguments.fit_ints(op);
    Call call;
    call.op = &op->op;
    call.attrs = holder.attrs;
    call.inputs = arguments.inputs();
    call.handles = arguments.handles();
    call.count = count;
    call.donated = donate;
    Values outputs;
    dispatch(call, outputs);
    Ref targets(into == Py_None ? nullptr : checked(PySequence_Tuple(into)).release());
    Ref results = checked(PyTuple_New(static_cast<Py_ssize_t>(outputs.size())));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto position = static_cast<Py_ssize_t>(i);
      PyObject* target = targets && position < PyTuple_GET_SIZE(targets.get()) ? PyTuple_GET_ITEM(targets.get(), position) : Py_None;
      if (target == Py_None) {
        target = checked(wrap(std::move(outputs[i]))).release();
      } else {
        Handle& handle = handle_of(expect_tensor(target, "apply", "into"));
        handle_assign(&handle, std::move(outputs[i]));
        Py_INCREF(target);
      }
      PyTuple_SET_ITEM(results.get(), position, target);
    }
    return results.release();
  });
}

Ref optional_attribute(PyObject* object, const char* name) {
  Ref attribute(PyObject_GetAttrString(object, name));
  if (!attribute) PyErr_Clear();
  return attribute;
}

PyObject* create(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", "arity", "record", nullptr};
  PyObject *name, *record = Py_None;
  int arity;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Ui|O", const_cast<char**>(names), &name, &arity, &record)) return nullptr;
  return guarded([&]() -> PyObject* {
    if (arity < -1) throw Error(ErrorKind::value, "[Op] expected arity >= -1, got " + std::to_string(arity));
    Ref holder = checked(type->tp_alloc(type, 0));
    PyOp* op = as_op(holder.get());
    op->vectorcall = vectorcall;
    op->arity = arity;
    op->name = Py_NewRef(name);
    op->record = Py_NewRef(record);
    op->attrs_by_key = checked(PyDict_New()).release();
    op->dict = checked(PyDict_New()).release();
    op->op.name = PyUnicode_AsUTF8(name);
    if (op->op.name == nullptr) throw CallbackFailed();
    op->op.object = op;
    op_register(&op->op);
    Ref argument_names = optional_attribute(record, "argument_names");
    if (argument_names && argument_names.get() != Py_None) op->argument_names = checked(PySequence_Tuple(argument_names.get())).release();
    Ref multiple = optional_attribute(record, "multiple_results");
    op->multiple_results = multiple && multiple.get() == Py_True;
    Ref int_scalars = optional_attribute(record, "int_scalars");
    if (int_scalars && PyLong_Check(int_scalars.get())) {
      const long number = PyLong_AsLong(int_scalars.get());
      op->int_scalars = number >= 1 && number <= 4 ? static_cast<IntScalars>(number) : IntScalars::any;
    }
    Ref autocast = optional_attribute(record, "autocast");
    if (autocast && PyUnicode_Check(autocast.get()))
      op->op.autocast = PyUnicode_CompareWithASCIIString(autocast.get(), "low") == 0 ? 1 : 2;
    return holder.release();
  });
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  PyOp* op = as_op(self);
  Py_VISIT(op->record);
  Py_VISIT(op->dict);
  Py_VISIT(op->argument_names);
  return 0;
}

int clear(PyObject* self) {
  PyOp* op = as_op(self);
  Py_CLEAR(op->record);
  Py_CLEAR(op->dict);
  return 0;
}

void deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyOp* op = as_op(self);
  if (op->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  if (op->op.id != 0) op_unregister(&op->op);
  if (op->attrs_by_key != nullptr) forget_statics(op);
  attrs_release(op->default_attrs);
  clear(self);
  Py_CLEAR(op->attrs_by_key);
  Py_CLEAR(op->argument_names);
  Py_CLEAR(op->name);
  PyObject_GC_Del(self);
}

PyObject* represent(PyObject* self) { return PyUnicode_FromFormat("<op %U>", as_op(self)->name); }

PyObject* bind_to(PyObject* self, PyObject* instance, PyObject*) {
  return instance == nullptr ? Py_NewRef(self) : PyMethod_New(self, instance);
}

PyGetSetDef attributes[] = {
    {"name", [](PyObject* self, void*) { return Py_NewRef(as_op(self)->name); }},
    {"__name__", [](PyObject* self, void*) { return Py_NewRef(as_op(self)->name); }},
    {"__qualname__", [](PyObject* self, void*) { return Py_NewRef(as_op(self)->name); }},
    {"arity", [](PyObject* self, void*) { return PyLong_FromLong(as_op(self)->arity); }},
    {"record", [](PyObject* self, void*) { return Py_XNewRef(as_op(self)->record); }},
    {"id", [](PyObject* self, void*) { return PyLong_FromUnsignedLong(as_op(self)->op.id); }},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict},
    {nullptr}};

PyMethodDef methods[] = {
    {"apply", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(apply)), METH_VARARGS | METH_KEYWORDS,
     "apply(inputs, attrs=None, donate=0, into=None) -> tuple: call with attrs as record.bind returned them.\n\n"
     "donate: bit i allows input i's memory to be reused if nobody else holds it. into: Tensors that take the results."},
    {nullptr}};

}  // namespace

PyTypeObject op_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

bool add_op_type(PyObject* module) {
  op_type.tp_name = "twain._core.Op";
  op_type.tp_basicsize = sizeof(PyOp);
  op_type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;
  op_type.tp_vectorcall_offset = offsetof(PyOp, vectorcall);
  op_type.tp_dictoffset = offsetof(PyOp, dict);
  op_type.tp_weaklistoffset = offsetof(PyOp, weak_references);
  op_type.tp_call = PyVectorcall_Call;
  op_type.tp_new = create;
  op_type.tp_dealloc = deallocate;
  op_type.tp_traverse = traverse;
  op_type.tp_clear = clear;
  op_type.tp_repr = represent;
  op_type.tp_descr_get = bind_to;
  op_type.tp_getset = attributes;
  op_type.tp_methods = methods;
  op_type.tp_getattro = PyObject_GenericGetAttr;
  op_type.tp_setattro = PyObject_GenericSetAttr;
  return PyType_Ready(&op_type) == 0 &&
         PyModule_AddObject(module, "Op", Py_NewRef(reinterpret_cast<PyObject*>(&op_type))) == 0;
}

}  // namespace twain
