// The Python side of Runtime: what the core asks for is answered by the functions given to _core.install.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "bind/module_parts.h"
#include "bind/op_type.h"
#include "bind/profiler.h"
#include "bind/tensor_type.h"
#include "dispatch/error.h"
#include "tensor/scalar.h"

#include <frameobject.h>  // Python 3.10 declares PyFrame_GetBack here

namespace twain {

Callbacks callbacks = {};
PyTypeObject* symbol_type = nullptr;

namespace {

PyObject* package_directory = nullptr;  // frames of files in it are not the user's

PyObject* required(PyObject* callback, const char* name) {
  if (callback == nullptr) throw Error(ErrorKind::runtime, std::string("[core] no ") + name + " callback is installed");
  return callback;
}

template <typename MetaAt>
Ref metas_tuple(size_t count, MetaAt meta_at) {
  Ref tuple = checked(PyTuple_New(static_cast<Py_ssize_t>(count)));
  for (size_t i = 0; i < count; ++i) {
    Meta* meta = meta_at(i);
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i),
                     meta == nullptr ? Py_NewRef(Py_None) : checked(meta_object(meta)).release());
  }
  return tuple;
}

Program* prepare(Op* op, Attrs* attrs, const Value* inputs, uint32_t count) {
  Ref metas = metas_tuple(count, [&](size_t i) { return inputs[i] ? inputs[i].meta : nullptr; });
  Ref result = checked_rule(PyObject_CallFunctionObjArgs(required(callbacks.prepare, "prepare"), op_object(op),
                                                         attrs_object(attrs), metas.get(), nullptr));
  if (Py_TYPE(result.get()) != &program_type) {
    PyErr_Format(PyExc_TypeError, "[prepare] expected a Program for %s, got %s", op->name, Py_TYPE(result.get())->tp_name);
    throw CallbackFailed();
  }
  Program* program = reinterpret_cast<PyProgram*>(result.get())->program;
  program_retain(program);
  return program;
}

Ref mask_object(const Mask& mask) {
  Ref number = checked(PyLong_FromUnsignedLongLong(mask.first));
  Ref shift = checked(PyLong_FromLong(64));
  Ref high = checked(PyLong_FromLong(0));
  for (size_t i = mask.rest.size(); i-- > 0;) {
    Ref word = checked(PyLong_FromUnsignedLongLong(mask.rest[i]));
    high = checked(PyNumber_Lshift(high.get(), shift.get()));
    high = checked(PyNumber_Or(high.get(), word.get()));
  }
  high = checked(PyNumber_Lshift(high.get(), shift.get()));
  return checked(PyNumber_Or(high.get(), number.get()));
}

template <typename Number>
std::vector<Number> numbers(PyObject* sequence, int64_t low, int64_t high, const char* what) {
  Ref items = checked(PySequence_Tuple(sequence));
  std::vector<Number> result;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    const long long number = PyLong_AsLongLong(PyTuple_GET_ITEM(items.get(), i));
    if (number == -1 && PyErr_Occurred()) throw CallbackFailed();
    if (number < low || number >= high) throw Error(ErrorKind::value, std::string("[vjp] ") + what + " out of range: " + std::to_string(number));
    result.push_back(static_cast<Number>(number));
  }
  return result;
}

std::unique_ptr<Rule> rule_from(PyObject* answer, const Program* program, const Mask& mask) {
  auto rule = std::make_unique<Rule>();
  rule->mask = mask;
  if (answer == Py_None) return rule;
  if (!PyTuple_Check(answer) || PyTuple_GET_SIZE(answer) != 4)
    throw Error(ErrorKind::type, "[vjp] expected None or (op, attrs, saved, results)");
  const int64_t inputs = program->input_count, outputs = program->output_count;
  rule->saved = numbers<uint32_t>(PyTuple_GET_ITEM(answer, 2), 0, inputs + outputs, "saved index");
  rule->results = numbers<int32_t>(PyTuple_GET_ITEM(answer, 3), -1 - outputs, INT32_MAX, "result");
  if (rule->results.size() != program->input_count) throw Error(ErrorKind::value, "[vjp] expected one result per input");
  PyObject* op = PyTuple_GET_ITEM(answer, 0);
  rule_finish(rule.get());
  if (op != Py_None) {
    if (!is_op(op)) throw Error(ErrorKind::type, "[vjp] expected an Op or None");
    rule->attrs = intern_attrs(PyTuple_GET_ITEM(answer, 1));
    Py_INCREF(op);
    rule->op = &as_op(op)->op;
  } else if (rule->op_outputs != 0) {
    throw Error(ErrorKind::value, "[vjp] results name outputs of an op that is None");
  }
  rule->differentiable = true;
  return rule;
}

Rule* make_rule(Op* op, Attrs* attrs, Program* program, const Mask& mask) {
  Ref metas = metas_tuple(program->input_count, [&](size_t i) { return program->inputs[i]; });
  Ref out_metas = metas_tuple(program->output_count, [&](size_t i) { return program->outputs[i].meta; });
  Ref bits = mask_object(mask);
  Ref answer = checked(PyObject_CallFunctionObjArgs(required(callbacks.vjp, "vjp"), op_object(op), attrs_object(attrs),
                                                    metas.get(), out_metas.get(), bits.get(), nullptr));
  if (Rule* known = program->rules.find(mask)) return known;  // made while Python ran
  return program->rules.add(rule_from(answer.get(), program, mask));
}

// Recorder ------------------------------------------------------------------------------------------------------------

PyObject* recorded_input(const RecordedCall& call, uint32_t i) {
  Value* value = call.inputs[i];
  if (value == nullptr) return Py_NewRef(Py_None);
  Handle* handle = call.handles == nullptr ? nullptr : call.handles[i];
  if (handle != nullptr) return Py_NewRef(object_of(handle));
  // A number that bears a mark of this recording came from an argument of the recorded function.
  const bool marked = value->trace != 0 && value->trace >> 32 == thread_modes.epoch;
  if (is_weak(value->meta->dtype) && !marked) return checked(scalar_object(value->meta->dtype, value->data)).release();
  return checked(wrap(Value(*value))).release();
}

void on_op(const RecordedCall& call) {
  Ref recorder = Ref::borrow(static_cast<PyObject*>(thread_modes.recorder));
  ParkedRecorder parked;
  Ref inputs = checked(PyTuple_New(call.input_count));
  for (uint32_t i = 0; i < call.input_count; ++i) PyTuple_SET_ITEM(inputs.get(), i, recorded_input(call, i));
  Ref outputs = checked(PyTuple_New(call.output_count));
  for (uint32_t i = 0; i < call.output_count; ++i)
    PyTuple_SET_ITEM(outputs.get(), i, checked(wrap(Value(call.outputs[i]))).release());
  Ref method = checked(PyObject_GetAttrString(recorder.get(), "on_op"));
  checked(PyObject_CallFunctionObjArgs(method.get(), op_object(call.op), attrs_object(call.attrs), inputs.get(),
                                       outputs.get(), nullptr));
  for (uint32_t i = 0; i < call.input_count; ++i) {
    PyObject* item = PyTuple_GET_ITEM(inputs.get(), i);
    if (is_tensor(item) && value_of(item).storage == call.inputs[i]->storage) call.inputs[i]->trace = value_of(item).trace;
  }
  for (uint32_t i = 0; i < call.output_count; ++i)
    call.outputs[i].trace = value_of(PyTuple_GET_ITEM(outputs.get(), i)).trace;
}

Value recorded_fill(Meta* meta, double number) {
  Ref object = checked(meta_object(meta));
  Ref value(PyFloat_FromDouble(number));
  Ref result = checked(PyObject_CallFunctionObjArgs(required(callbacks.fill, "fill"), object.get(), value.get(), nullptr));
  return value_of(expect_tensor(result.get(), "fill", "the result"));
}

// Anomaly mode --------------------------------------------------------------------------------------------------------

// "file:line" of the innermost frame outside the package.
void* current_line() {
  Ref frame = Ref::borrow(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame) {
    auto* raw = reinterpret_cast<PyFrameObject*>(frame.get());
    Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(raw)));
    PyObject* file = reinterpret_cast<PyCodeObject*>(code.get())->co_filename;
    const bool inside = package_directory != nullptr && PyUnicode_Tailmatch(file, package_directory, 0, PY_SSIZE_T_MAX, -1) == 1;
    if (!inside) return checked(PyUnicode_FromFormat("%U:%d", file, PyFrame_GetLineNumber(raw))).release();
    frame = Ref(reinterpret_cast<PyObject*>(PyFrame_GetBack(raw)));
  }
  return nullptr;
}

void check_anomaly(Op* op, const Value* outputs, uint32_t count, void* where) {
  for (uint32_t i = 0; i < count; ++i) {
    if (!has_nan(outputs[i])) continue;
    Ref line = where != nullptr ? Ref::borrow(static_cast<PyObject*>(where)) : Ref(static_cast<PyObject*>(current_line()));
    if (!line) line = Ref::borrow(Py_None);
    if (callbacks.anomaly != nullptr) {
      checked(PyObject_CallFunctionObjArgs(callbacks.anomaly, op_object(op), line.get(), where != nullptr ? Py_True : Py_False, nullptr));
      continue;
    }
    PyErr_Format(PyExc_FloatingPointError, "[%s] NaN in the result%s %S", op->name,
                 where != nullptr ? " of the backward pass; the op was called at" : "; called at", line.get());
    throw CallbackFailed();
  }
}

// Objects -------------------------------------------------------------------------------------------------------------

bool run_hook(void* hook, Value& gradient) {
  Ref function = Ref::borrow(static_cast<PyObject*>(hook));
  Ref tensor = checked(wrap(Value(gradient)));
  Ref result = checked(PyObject_CallOneArg(function.get(), tensor.get()));
  if (result.get() == Py_None) return true;
  const Value& replacement = value_of(expect_tensor(result.get(), "hook", "the returned gradient"));
  if (!same_shape(replacement.meta, gradient.meta) || replacement.meta->dtype != gradient.meta->dtype)
    throw Error(ErrorKind::value, "[hook] expected a gradient of the same shape and dtype");
  gradient = replacement;
  return true;
}

Handle* make_handle(Value&& value) { return &handle_of(checked(wrap(std::move(value))).release()); }

// Python called from the inside of a plan is no part of what this thread records, differentiates or traces.
class Apart {
 public:
  Apart() : grad_(set_grad_enabled(false)), tracing_(set_tracing(false)) {
    if (!thread_modes.parked) parked_.emplace();
  }
  ~Apart() {
    set_tracing(tracing_);
    set_grad_enabled(grad_);
  }
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;

 private:
  bool grad_, tracing_;
  std::optional<ParkedRecorder> parked_;
};

void run_host_step(void* callable, void* const* buffers, uint32_t count, const int64_t* params, uint32_t param_count) {
  Apart apart;
  Ref function = Ref::borrow(static_cast<PyObject*>(callable));
  Ref addresses = checked(PyTuple_New(count)), numbers = checked(PyTuple_New(param_count));
  for (uint32_t i = 0; i < count; ++i) PyTuple_SET_ITEM(addresses.get(), i, checked(PyLong_FromVoidPtr(buffers[i])).release());
  for (uint32_t i = 0; i < param_count; ++i) PyTuple_SET_ITEM(numbers.get(), i, checked(PyLong_FromLongLong(params[i])).release());
  checked(PyObject_CallFunctionObjArgs(function.get(), addresses.get(), numbers.get(), nullptr));
}

// The module's functions ----------------------------------------------------------------------------------------------

PyObject* install(PyObject*, PyObject* args, PyObject* kwargs) {
  struct Field {
    const char* name;
    PyObject** place;
  };
  const Field fields[] = {{"prepare", &callbacks.prepare}, {"vjp", &callbacks.vjp},         {"convert", &callbacks.convert},
                          {"trace", &callbacks.trace},     {"repr", &callbacks.repr},       {"numpy", &callbacks.numpy},
                          {"anomaly", &callbacks.anomaly}, {"fill", &callbacks.fill},       {"package", &package_directory}};
  if (PyTuple_GET_SIZE(args) != 0) {
    PyErr_SetString(PyExc_TypeError, "[install] expected keywords only");
    return nullptr;
  }
  Ref previous(PyDict_New());
  if (!previous) return nullptr;
  Py_ssize_t position = 0;
  PyObject *name, *value;
  while (kwargs != nullptr && PyDict_Next(kwargs, &position, &name, &value)) {
    PyObject** place = nullptr;
    for (const Field& field : fields)
      if (PyUnicode_CompareWithASCIIString(name, field.name) == 0) place = field.place;
    if (place == nullptr) {
      PyErr_Format(PyExc_TypeError, "[install] unknown callback %R", name);
      return nullptr;
    }
    if (PyDict_SetItem(previous.get(), name, *place == nullptr ? Py_None : *place) != 0) return nullptr;
    Py_XSETREF(*place, value == Py_None ? nullptr : Py_NewRef(value));
  }
  return previous.release();
}

PyObject* set_symbol_type(PyObject*, PyObject* type) {
  if (type != Py_None && !PyType_Check(type)) {
    PyErr_SetString(PyExc_TypeError, "[set_symbol_type] expected a class or None");
    return nullptr;
  }
  PyTypeObject* fresh = type == Py_None ? nullptr : reinterpret_cast<PyTypeObject*>(Py_NewRef(type));
  PyTypeObject* previous = std::exchange(symbol_type, fresh);
  return previous == nullptr ? Py_NewRef(Py_None) : reinterpret_cast<PyObject*>(previous);
}

PyObject* set_fill(PyObject*, PyObject* function) {
  Py_XSETREF(callbacks.fill, Py_NewRef(function));
  Py_RETURN_NONE;
}

PyObject* set_recorder_function(PyObject*, PyObject* recorder) {
  auto* previous = static_cast<PyObject*>(set_recorder(recorder == Py_None ? nullptr : Py_NewRef(recorder)));
  return previous == nullptr ? Py_NewRef(Py_None) : previous;
}

PyObject* set_trace(PyObject*, PyObject* args) {
  PyObject* tensor;
  unsigned int index;
  if (!PyArg_ParseTuple(args, "OI", &tensor, &index)) return nullptr;
  return guarded([&]() -> PyObject* {
    value_of(expect_tensor(tensor, "set_trace", "tensor")).trace = uint64_t{thread_modes.epoch} << 32 | index;
    Py_RETURN_NONE;
  });
}

PyObject* get_trace(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    const uint64_t trace = value_of(expect_tensor(tensor, "get_trace", "tensor")).trace;
    const bool current = trace != 0 && trace >> 32 == thread_modes.epoch;
    return PyLong_FromUnsignedLong(current ? static_cast<uint32_t>(trace) : 0);
  });
}

PyMethodDef functions[] = {
    {"install", with_keywords(install), METH_VARARGS | METH_KEYWORDS,
     "install(prepare=, vjp=, convert=, trace=, repr=, numpy=, anomaly=, fill=, package=): the functions the core calls.\n\n"
     "prepare(op, attrs, metas) -> Program; vjp(op, attrs, metas, out_metas, mask) -> None | (op, attrs, saved, results);\n"
     "convert(op, position, object) -> Tensor, Python scalar or NotImplemented; trace(op, attrs, args); repr(tensor);\n"
     "anomaly(op, line, in_backward); fill(meta, number) -> Tensor, only while recording; package: directory whose frames\n"
     "are not the user's. None takes one away. Returns the previous ones."},
    {"set_symbol_type", set_symbol_type, METH_O, "Calls with an instance of this class go to the trace callback; returns the previous one."},
    {"set_fill", set_fill, METH_O, "set_fill(f): f(meta, number) -> Tensor makes constants for backward while a recorder is active."},
    {"set_recorder", set_recorder_function, METH_O,
     "Tell `recorder` of every op of this thread: on_op(op, attrs, inputs, outputs), on_read(tensor, kind). None stops. "
     "Returns the previous one."},
    {"set_trace", set_trace, METH_VARARGS, "set_trace(tensor, index): mark the tensor's value for this recording; index > 0."},
    {"get_trace", get_trace, METH_O, "The mark of the tensor's value in this recording, or 0."},
    {"new_trace_epoch", [](PyObject*, PyObject*) { return PyLong_FromUnsignedLong(new_epoch()); }, METH_NOARGS,
     "Start a recording: marks of earlier ones no longer count on this thread."},
    {nullptr}};

}  // namespace

void report_read(PyObject* tensor, const char* kind) {
  if (modes().observer != nullptr) modes().observer->spoil();
  auto* recorder = static_cast<PyObject*>(modes().recorder);
  if (recorder == nullptr) return;
  Ref held = Ref::borrow(recorder);
  checked(PyObject_CallMethod(recorder, "on_read", "Os", tensor, kind));
}

void install_runtime() {
  runtime.prepare = prepare;
  runtime.make_rule = make_rule;
  runtime.on_op = on_op;
  runtime.on_profile = on_profile;
  runtime.check_anomaly = check_anomaly;
  runtime.current_line = current_line;
  runtime.recorded_fill = recorded_fill;
  runtime.run_hook = run_hook;
  runtime.make_handle = make_handle;
  runtime.retain_handle = [](Handle* handle) { Py_INCREF(object_of(handle)); };
  runtime.release_handle = [](Handle* handle) { Py_DECREF(object_of(handle)); };
  runtime.retain_object = [](void* object) { Py_INCREF(static_cast<PyObject*>(object)); };
  runtime.release_object = [](void* object) { Py_DECREF(static_cast<PyObject*>(object)); };
  runtime.release_attrs = release_attrs_object;
  runtime.run_host_step = run_host_step;
  runtime.release_lock = []() -> void* { return PyEval_SaveThread(); };
  runtime.take_lock = [](void* state) {
    // At exit, Python before 3.14 ends a thread that asks for the lock by unwinding its stack, which must not pass
    // through our destructors: such a thread waits for the end of the process instead, as from 3.14 on.
    try {
      PyEval_RestoreThread(static_cast<PyThreadState*>(state));
    } catch (...) {
      while (true) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  };
}

bool add_callbacks(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace twain
