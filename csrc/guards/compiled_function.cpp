// _core.CompiledFunction and _core.ReplayPlan
#include "guards/compiled_function.h"

#include <structmember.h>

#include <complex>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bind/op_type.h"
#include "bind/parts.h"
#include "dispatch/error.h"
#include "guards/consumed.h"
#include "guards/guard_tree.h"
#include "guards/tensor_probe.h"
#include "tensor/scalar.h"

namespace twain {

namespace {

// An operand of an op: a tensor or float among the guards' values, a function of such floats, or the result of an
// earlier part.
struct Operand {
  int32_t value = -1;
  PyObject* function = nullptr;    // owned
  std::vector<int32_t> arguments;  // of the function
  int32_t part = -1;
  uint32_t output = 0;
  bool donated = false;            // nobody reads it again once the op has run
};

// One stretch of the plan. All but the last compute, as output 0, a predicate that decides how the code went on.
struct Part {
  PyObject* op;  // owned; null: nothing to compute
  bool attached;
  bool expected;  // what the predicate was
  std::vector<Operand> operands;
  bool donates_rest = false;  // operands from the 65th on are donated, among others
};

struct Source {
  uint32_t part;
  uint32_t output;
};

// A tensor object that the plan makes, from an output of its op.
struct NewTensor {
  Source source;
  bool attached;           // linked to the tape, if that is on
  bool leaf;               // requires a gradient of its own
  Program* consumed;       // owned; the tape behind it has been used up: shows a gradient function that can't run
};

// A handle among the guards' values that gets another value.
struct Rebind {
  int32_t value;
  Source source;
  bool attached;
};

enum class Slot : uint8_t { dict, instance, list, grad, cell };
constexpr const char* kSlotNames[] = {"dict", "instance", "list", "grad", "cell"};

// A place that gets another tensor, or None.
struct Move {
  Slot slot;
  PyObject* owner;     // owned; null: among the guards' values
  int32_t value;
  PyObject* key;       // owned; null for grad and cell
  Py_ssize_t index;    // list
  int32_t from_value;  // what it gets: one of the guards' values,
  int32_t from_new;    // or a new tensor, or None if both are -1
};

struct PyPlan {
  PyObject_HEAD
  PyObject* tree_object;  // owned
  GuardTree* tree;
  uint64_t modes;
  std::vector<Part>* parts;
  std::vector<NewTensor>* news;
  std::vector<Rebind>* rebinds;
  std::vector<Move>* moves;
  PyObject* result;     // a template, see build_result
  PyObject* condition;  // function of some float values, or null
  std::vector<int32_t>* condition_arguments;
  uint64_t hits;
};

struct PyFunction {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* function;  // what the user wrote
  PyObject* plans;     // list of ReplayPlan, most recently used first
  PyObject* dict;
  PyObject* weak_references;
  unsigned long long calls;
  unsigned long long hits;
  unsigned long long next_audit;
  char stays_eager;
};

PyObject* config = nullptr;  // its attribute `eager` turns everything off
PyObject* eager_name = nullptr;
PyObject* slow_name = nullptr;

PyTypeObject plan_type = {PyVarObject_HEAD_INIT(nullptr, 0)};
PyTypeObject function_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

PyPlan* as_plan(PyObject* object) { return reinterpret_cast<PyPlan*>(object); }
PyFunction* as_function(PyObject* object) { return reinterpret_cast<PyFunction*>(object); }

// The guards' values of one call, owned.
class Fetched {
 public:
  explicit Fetched(size_t count) : values_(count) {}
  ~Fetched() {
    for (PyObject* value : values_) Py_XDECREF(value);
  }
  PyObject** data() { return values_.data(); }
  PyObject* operator[](int32_t i) const { return values_[static_cast<size_t>(i)]; }

 private:
  SmallArray<PyObject*, 32> values_;
};

PyObject* call_on(PyObject* function, const std::vector<int32_t>& arguments, const Fetched& values) {
  std::vector<PyObject*> stack(arguments.size() + 1);
  for (size_t i = 0; i < arguments.size(); ++i) stack[i + 1] = values[arguments[i]];
  return PyObject_Vectorcall(function, stack.data() + 1, arguments.size() | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
}

// Templates: ("new", k), ("place", i), ("value", object), (list or tuple, templates), (dict, keys, templates), or
// (function,) of the values and the new tensors as lists.
PyObject* build_result(PyObject* pattern, const Fetched& values, size_t value_count, const std::vector<Ref>& news) {
  PyObject* kind = PyTuple_GET_ITEM(pattern, 0);
  if (PyUnicode_Check(kind)) {
    PyObject* item = PyTuple_GET_ITEM(pattern, 1);
    switch (PyUnicode_READ_CHAR(kind, 0)) {
      case 'n': return Py_NewRef(news[static_cast<size_t>(PyLong_AsLong(item))].get());
      case 'p': return Py_NewRef(values[static_cast<int32_t>(PyLong_AsLong(item))]);
      default: return Py_NewRef(item);
    }
  }
  if (kind == reinterpret_cast<PyObject*>(&PyTuple_Type) || kind == reinterpret_cast<PyObject*>(&PyList_Type)) {
    PyObject* parts = PyTuple_GET_ITEM(pattern, 1);
    const Py_ssize_t count = PyTuple_GET_SIZE(parts);
    const bool is_list = kind == reinterpret_cast<PyObject*>(&PyList_Type);
    Ref result = checked(is_list ? PyList_New(count) : PyTuple_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* item = build_result(PyTuple_GET_ITEM(parts, i), values, value_count, news);
      if (is_list) {
        PyList_SET_ITEM(result.get(), i, item);
      } else {
        PyTuple_SET_ITEM(result.get(), i, item);
      }
    }
    return result.release();
  }
  if (kind == reinterpret_cast<PyObject*>(&PyDict_Type)) {
    PyObject *keys = PyTuple_GET_ITEM(pattern, 1), *parts = PyTuple_GET_ITEM(pattern, 2);
    Ref result = checked(PyDict_New());
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys); ++i) {
      Ref item(build_result(PyTuple_GET_ITEM(parts, i), values, value_count, news));
      if (PyDict_SetItem(result.get(), PyTuple_GET_ITEM(keys, i), item.get()) < 0) throw CallbackFailed();
    }
    return result.release();
  }
  Ref value_list = checked(PyList_New(static_cast<Py_ssize_t>(value_count)));
  for (size_t i = 0; i < value_count; ++i)
    PyList_SET_ITEM(value_list.get(), static_cast<Py_ssize_t>(i), Py_NewRef(values[static_cast<int32_t>(i)]));
  Ref new_list = checked(PyList_New(static_cast<Py_ssize_t>(news.size())));
  for (size_t i = 0; i < news.size(); ++i)
    PyList_SET_ITEM(new_list.get(), static_cast<Py_ssize_t>(i), Py_NewRef(news[i].get()));
  return checked(PyObject_CallFunctionObjArgs(kind, value_list.get(), new_list.get(), nullptr)).release();
}

// The dict that a move writes into, borrowed.
PyObject* dict_of(const Move& move, PyObject* owner) {
  if (move.slot == Slot::dict) return owner;
  Ref dict(PyObject_GenericGetDict(owner, nullptr));
  if (!dict) throw CallbackFailed();
  return dict.get();  // the instance holds it
}

// What lies there now; a new reference, or null.
PyObject* current(const Move& move, PyObject* owner) {
  switch (move.slot) {
    case Slot::dict:
    case Slot::instance: return Py_XNewRef(PyDict_GetItemWithError(dict_of(move, owner), move.key));
    case Slot::list: return Py_NewRef(PyList_GET_ITEM(owner, move.index));
    case Slot::cell: return PyCell_Get(owner);
    case Slot::grad: {
      Handle* grad = handle_of(owner).grad;
      return grad == nullptr ? nullptr : Py_NewRef(object_of(grad));
    }
  }
  return nullptr;
}

// Existing entries get another value, so none of these needs memory or runs anything of the user's.
void write(const Move& move, PyObject* owner, PyObject* value) {
  switch (move.slot) {
    case Slot::dict:
    case Slot::instance:
      if (PyDict_SetItem(dict_of(move, owner), move.key, value) < 0) PyErr_Clear();
      break;
    case Slot::list: {
      PyObject* old = PyList_GET_ITEM(owner, move.index);
      PyList_SET_ITEM(owner, move.index, Py_NewRef(value));
      Py_XDECREF(old);
      break;
    }
    case Slot::cell: PyCell_Set(owner, value); break;
    case Slot::grad: {
      Handle* old = handle_of(owner).grad;
      handle_of(owner).grad = value == Py_None ? nullptr : &handle_of(Py_NewRef(value));
      if (old != nullptr) Py_DECREF(object_of(old));
      break;
    }
  }
}

// What the parts have computed for one call. Plans that begin alike share their first parts, which then run once.
class Computed {
 public:
  Values* find(PyObject* op) const {
    for (const auto& [known, values] : entries_)
      if (known == op) return values.get();
    return nullptr;
  }
  Values& add(PyObject* op) { return *entries_.emplace_back(op, std::make_unique<Values>()).second; }

 private:
  std::vector<std::pair<PyObject*, std::unique_ptr<Values>>> entries_;
};

void run_part(const Part& part, const Fetched& values, Values* const* results, bool donates, Values& outputs) {
  const size_t count = part.operands.size();
  twain::Call call;
  call.donates_rest = donates && part.donates_rest;
  std::vector<Value> held;  // what is to stay, where donation goes by references
  SmallArray<const Value*, 16> inputs(count);
  SmallArray<Handle*, 16> handles(count);
  SmallArray<Value, 4> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    const Operand& operand = part.operands[i];
    if (operand.donated && donates && i < 64) call.donated |= uint64_t{1} << i;
    const bool stays = call.donates_rest && i >= 64 && !operand.donated;
    if (operand.part >= 0) {
      inputs[i] = &(*results[operand.part])[operand.output];
      if (stays) held.push_back(inputs[i]->detached());
      continue;
    }
    PyObject* value = operand.value >= 0 ? values[operand.value] : nullptr;
    if (value != nullptr && is_tensor(value)) {
      inputs[i] = &value_of(value);
      handles[i] = &handle_of(value);
      if (stays) held.push_back(inputs[i]->detached());
      continue;
    }
    Ref computed;
    if (value == nullptr) {
      computed = checked(call_on(operand.function, operand.arguments, values));
      value = computed.get();
    }
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) throw CallbackFailed();
    numbers[i] = weak_float(number);
    inputs[i] = &numbers[i];
  }
  call.op = &as_op(part.op)->op;
  call.inputs = inputs.data();
  call.handles = handles.data();
  call.count = static_cast<uint32_t>(count);
  call.record = part.attached;
  dispatch(call, outputs);
}

bool is_true(const Value& value) {
  const Scalar scalar = read_scalar(value.meta->dtype, value.data);
  switch (scalar.kind) {
    case Scalar::boolean:
    case Scalar::integer: return scalar.i != 0;
    case Scalar::unsigned_integer: return scalar.u != 0;
    case Scalar::real: return scalar.r != 0;
    case Scalar::complex_number: return scalar.c != std::complex<double>(0);
  }
  return false;
}

// What the user will see of a call, made before the last part runs: that may overwrite storage it was given, and from
// then on nothing may fail.
class Outcome {
 public:
  Outcome(PyPlan* plan, const Fetched& values) : plan_(plan), values_(values) {
    news_.reserve(plan->news->size());
    for (size_t i = 0; i < plan->news->size(); ++i) news_.emplace_back(checked(wrap(Value())));
    result_ = Ref(build_result(plan->result, values, plan->tree->input_count(), news_));
    old_.reserve(plan->moves->size());
  }

  // Gives the new tensors their values, the handles theirs, and the places their tensors.
  PyObject* commit(Values* const* results) {
    const auto value_at = [&](const Source& source, bool attached) {
      Value value((*results[source.part])[source.output]);
      if (!attached) value.drop_node();
      return value;
    };
    for (size_t i = 0; i < news_.size(); ++i) {
      const NewTensor& item = (*plan_->news)[i];
      Handle& handle = handle_of(news_[i].get());
      handle.value = value_at(item.source, item.attached);
      if (item.leaf) handle_set_requires_grad(&handle, true);
      if (item.consumed != nullptr) mark_consumed(handle.value, item.consumed);
    }
    // What is replaced is let go of at the very end: that may run code of the user's.
    for (const Move& move : *plan_->moves) old_.emplace_back(current(move, owner_of(move)));
    for (const Rebind& rebind : *plan_->rebinds)
      handle_assign(&handle_of(values_[rebind.value]), value_at(rebind.source, rebind.attached));
    for (const Move& move : *plan_->moves) {
      PyObject* target = move.from_value >= 0 ? values_[move.from_value]
                         : move.from_new >= 0 ? news_[static_cast<size_t>(move.from_new)].get()
                                              : Py_None;
      write(move, owner_of(move), target);
    }
    return result_.release();
  }

 private:
  PyObject* owner_of(const Move& move) const { return move.owner != nullptr ? move.owner : values_[move.value]; }

  PyPlan* plan_;
  const Fetched& values_;
  std::vector<Ref> news_;
  Ref result_;
  std::vector<Ref> old_;
};

// Runs the parts. Null without an error: a predicate has come out otherwise; nothing has been written.
PyObject* run_parts(PyPlan* plan, const Fetched& values, Computed& computed) {
  const size_t last = plan->parts->size() - 1;
  SmallArray<Values*, 4> results(last + 1);
  for (size_t k = 0; k < last; ++k) {
    const Part& part = (*plan->parts)[k];
    results[k] = computed.find(part.op);
    if (results[k] == nullptr) {
      results[k] = &computed.add(part.op);
      run_part(part, values, results.data(), false, *results[k]);
    }
    if (is_true((*results[k])[0]) != part.expected) return nullptr;
  }
  Outcome outcome(plan, values);
  Values outputs;
  results[last] = &outputs;
  const Part& part = plan->parts->back();
  // Looking for NaN may raise when the op has run.
  if (part.op != nullptr) run_part(part, values, results.data(), !modes().anomaly, outputs);
  return outcome.commit(results.data());
}

// The same; where an expression of float arguments divides by zero or overflows, the code itself is to show the error,
// with all that it does before.
PyObject* replay(PyPlan* plan, const Fetched& values, Computed& computed) {
  try {
    return run_parts(plan, values, computed);
  } catch (const CallbackFailed&) {
    if (!PyErr_ExceptionMatches(PyExc_ArithmeticError)) throw;
    PyErr_Clear();
    return nullptr;
  }
}

bool condition_holds(PyPlan* plan, const Fetched& values) {
  if (plan->condition == nullptr) return true;
  Ref answer(call_on(plan->condition, *plan->condition_arguments, values));
  if (!answer) throw CallbackFailed();
  return PyObject_IsTrue(answer.get()) == 1;
}

bool turned_off() {
  if (config == nullptr) return false;
  Ref flag(PyObject_GetAttr(config, eager_name));
  if (!flag) {
    PyErr_Clear();
    return false;
  }
  return flag.get() != Py_False;
}

bool is_traced() { return PyThreadState_Get()->c_tracefunc != nullptr; }

PyObject* call_slowly(PyFunction* self, PyObject* const* args, size_t positional, PyObject* keywords) {
  Ref tuple = checked(PyTuple_New(static_cast<Py_ssize_t>(positional)));
  for (size_t i = 0; i < positional; ++i) PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), Py_NewRef(args[i]));
  Ref dict = checked(PyDict_New());
  for (Py_ssize_t i = 0; keywords != nullptr && i < PyTuple_GET_SIZE(keywords); ++i)
    if (PyDict_SetItem(dict.get(), PyTuple_GET_ITEM(keywords, i), args[positional + static_cast<size_t>(i)]) < 0)
      throw CallbackFailed();
  PyObject* stack[] = {reinterpret_cast<PyObject*>(self), tuple.get(), dict.get()};
  return PyObject_VectorcallMethod(slow_name, stack, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
}

PyObject* vectorcall(PyObject* self_object, PyObject* const* args, size_t flags, PyObject* keywords) {
  PyFunction* self = as_function(self_object);
  if (self->stays_eager != 0 || modes().recorder != nullptr || is_traced() || turned_off())
    return PyObject_Vectorcall(self->function, args, flags, keywords);
  const auto positional = static_cast<size_t>(PyVectorcall_NARGS(flags));
  return guarded([&]() -> PyObject* {
    ++self->calls;
    if (self->calls < self->next_audit && self->plans != nullptr) {
      const uint64_t modes_now = tensor_probe.modes();
      Computed computed;
      Ref plans = Ref::borrow(self->plans);
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(plans.get()); ++i) {
        Ref held = Ref::borrow(PyList_GET_ITEM(plans.get(), i));
        PyPlan* plan = as_plan(held.get());
        if (plan->modes != modes_now) continue;
        Fetched values(plan->tree->input_count());
        if (!plan->tree->evaluate({args, positional, keywords}, values.data(), nullptr)) continue;
        if (!condition_holds(plan, values)) continue;
        PyObject* result = replay(plan, values, computed);
        if (result == nullptr) continue;
        ++plan->hits;
        ++self->hits;
        if (i != 0 && i < PyList_GET_SIZE(plans.get())) {
          PyObject* first = PyList_GET_ITEM(plans.get(), 0);
          PyList_SET_ITEM(plans.get(), 0, PyList_GET_ITEM(plans.get(), i));
          PyList_SET_ITEM(plans.get(), i, first);
        }
        return result;
      }
    }
    return call_slowly(self, args, positional, keywords);
  });
}

// Building a plan -----------------------------------------------------------------------------------------------------

int32_t index_in(PyObject* object, size_t count, const char* what) {
  const long number = PyLong_AsLong(object);
  if (number == -1 && PyErr_Occurred()) throw CallbackFailed();
  if (number < -1 || number >= static_cast<long>(count))
    throw Error(ErrorKind::value, std::string("[ReplayPlan] ") + what + " out of range: " + std::to_string(number));
  return static_cast<int32_t>(number);
}

template <typename Visit>
void for_each_tuple(PyObject* sequence, Visit visit) {
  Ref items = checked(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    Ref item = checked(PySequence_Tuple(PyTuple_GET_ITEM(items.get(), i)));
    visit(item.get());
  }
}

std::vector<int32_t> indices_in(PyObject* sequence, size_t count) {
  std::vector<int32_t> result;
  Ref items = checked(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
    result.push_back(index_in(PyTuple_GET_ITEM(items.get(), i), count, "value"));
  return result;
}

void expect_size(PyObject* tuple, Py_ssize_t size) {
  if (PyTuple_GET_SIZE(tuple) != size) throw Error(ErrorKind::value, "[ReplayPlan] an entry has the wrong length");
}

Move move_from(PyObject* item, size_t values, size_t news) {
  expect_size(item, 6);
  Move move = {};
  const char* name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(item, 0));
  if (name == nullptr) throw CallbackFailed();
  size_t slot = 0;
  while (slot < 5 && std::string(kSlotNames[slot]) != name) ++slot;
  if (slot == 5) throw Error(ErrorKind::value, std::string("[ReplayPlan] unknown slot ") + name);
  move.slot = static_cast<Slot>(slot);
  PyObject* owner = PyTuple_GET_ITEM(item, 1);
  move.owner = owner == Py_None ? nullptr : Py_NewRef(owner);
  move.value = index_in(PyTuple_GET_ITEM(item, 2), values, "owner");
  PyObject* key = PyTuple_GET_ITEM(item, 3);
  if (move.slot == Slot::list) {
    move.index = PyLong_AsSsize_t(key);
    if (move.index == -1 && PyErr_Occurred()) throw CallbackFailed();
  } else {
    move.key = Py_NewRef(key);
  }
  move.from_value = index_in(PyTuple_GET_ITEM(item, 4), values, "value");
  move.from_new = index_in(PyTuple_GET_ITEM(item, 5), news, "new tensor");
  return move;
}

Source source_from(PyObject* item, PyPlan* plan) {
  Ref pair = checked(PySequence_Tuple(item));
  expect_size(pair.get(), 2);
  const int32_t part = index_in(PyTuple_GET_ITEM(pair.get(), 0), plan->parts->size(), "part");
  const int32_t output = index_in(PyTuple_GET_ITEM(pair.get(), 1), 1 << 30, "output");
  if (part < 0 || output < 0) throw Error(ErrorKind::value, "[ReplayPlan] expected (part, output)");
  return {static_cast<uint32_t>(part), static_cast<uint32_t>(output)};
}

// Owned by `part` from the start, so that a failure half-way leaks nothing.
void fill_part(Part& part, PyObject* operands, PyPlan* plan) {
  const size_t values = plan->tree->input_count();
  for_each_tuple(operands, [&](PyObject* item) {
    expect_size(item, 4);
    Operand operand;
    operand.value = index_in(PyTuple_GET_ITEM(item, 0), values, "operand");
    operand.arguments = indices_in(PyTuple_GET_ITEM(item, 2), values);
    if (PyTuple_GET_ITEM(item, 3) != Py_None) {
      const Source source = source_from(PyTuple_GET_ITEM(item, 3), plan);
      operand.part = static_cast<int32_t>(source.part);
      operand.output = source.output;
    }
    PyObject* function = PyTuple_GET_ITEM(item, 1);
    if (operand.value < 0 && operand.part < 0 && function == Py_None)
      throw Error(ErrorKind::value, "[ReplayPlan] expected an operand to be a value, a function or a result");
    operand.function = function == Py_None ? nullptr : Py_NewRef(function);
    part.operands.push_back(std::move(operand));
  });
}

void fill_plan(PyPlan* plan, PyObject* parts, PyObject* news, PyObject* rebinds, PyObject* moves) {
  const size_t values = plan->tree->input_count();
  for_each_tuple(parts, [&](PyObject* item) {
    expect_size(item, 4);
    PyObject* op = PyTuple_GET_ITEM(item, 0);
    if (op != Py_None && !is_op(op)) throw Error(ErrorKind::type, "[ReplayPlan] expected an Op or None");
    if (!plan->parts->empty() && plan->parts->back().op == nullptr)
      throw Error(ErrorKind::value, "[ReplayPlan] only the last part may have nothing to compute");
    plan->parts->push_back({op == Py_None ? nullptr : Py_NewRef(op), PyTuple_GET_ITEM(item, 1) == Py_True,
                            PyTuple_GET_ITEM(item, 2) == Py_True, {}});
    fill_part(plan->parts->back(), PyTuple_GET_ITEM(item, 3), plan);
  });
  if (plan->parts->empty()) throw Error(ErrorKind::value, "[ReplayPlan] expected at least one part");
  for_each_tuple(news, [&](PyObject* item) {
    expect_size(item, 4);
    const Source source = source_from(PyTuple_GET_ITEM(item, 0), plan);
    PyObject* consumed = PyTuple_GET_ITEM(item, 3);  // (name, Meta) or None
    if (consumed != Py_None && (!PyTuple_Check(consumed) || PyTuple_GET_SIZE(consumed) != 2))
      throw Error(ErrorKind::type, "[ReplayPlan] expected (name, Meta) or None");
    Program* program = nullptr;
    if (consumed != Py_None)
      program = consumed_program(PyTuple_GET_ITEM(consumed, 0), meta_of(PyTuple_GET_ITEM(consumed, 1), "ReplayPlan"));
    plan->news->push_back({source, PyTuple_GET_ITEM(item, 1) == Py_True, PyTuple_GET_ITEM(item, 2) == Py_True, program});
  });
  Part& last = plan->parts->back();
  for_each_tuple(rebinds, [&](PyObject* item) {
    expect_size(item, 3);
    const int32_t value = index_in(PyTuple_GET_ITEM(item, 0), values, "handle");
    plan->rebinds->push_back({value, source_from(PyTuple_GET_ITEM(item, 1), plan), PyTuple_GET_ITEM(item, 2) == Py_True});
    // The handle's own value won't be read again once the last op has run.
    for (size_t i = 0; i < last.operands.size(); ++i) {
      Operand& operand = last.operands[i];
      if (operand.value != value || value < 0) continue;
      operand.donated = true;
      last.donates_rest = last.donates_rest || i >= 64;
    }
  });
  for_each_tuple(moves, [&](PyObject* item) { plan->moves->push_back(move_from(item, values, plan->news->size())); });
}

PyObject* plan_create(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"tree",   "modes",     "parts",               "news", "rebinds", "moves",
                                "result", "condition", "condition_arguments", nullptr};
  PyObject *tree, *parts, *news, *rebinds, *moves, *result, *condition, *condition_arguments;
  unsigned long long modes_word;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OKOOOOO!OO", const_cast<char**>(names), &tree, &modes_word, &parts, &news,
                                   &rebinds, &moves, &PyTuple_Type, &result, &condition, &condition_arguments))
    return nullptr;
  return guarded([&]() -> PyObject* {
    Ref holder = checked(type->tp_alloc(type, 0));
    PyPlan* plan = as_plan(holder.get());
    plan->parts = new std::vector<Part>;
    plan->news = new std::vector<NewTensor>;
    plan->rebinds = new std::vector<Rebind>;
    plan->moves = new std::vector<Move>;
    plan->condition_arguments = new std::vector<int32_t>;
    plan->tree = ::guard_tree_of(tree);
    if (plan->tree == nullptr) throw Error(ErrorKind::type, "[ReplayPlan] expected a GuardTree");
    plan->tree_object = Py_NewRef(tree);
    plan->modes = modes_word;
    plan->result = Py_NewRef(result);
    plan->condition = condition == Py_None ? nullptr : Py_NewRef(condition);
    *plan->condition_arguments = indices_in(condition_arguments, plan->tree->input_count());
    fill_plan(plan, parts, news, rebinds, moves);
    return holder.release();
  });
}

int plan_traverse(PyObject* self, visitproc visit, void* arg) {
  PyPlan* plan = as_plan(self);
  Py_VISIT(plan->tree_object);
  Py_VISIT(plan->result);
  Py_VISIT(plan->condition);
  if (plan->parts != nullptr)
    for (const Part& part : *plan->parts) {
      Py_VISIT(part.op);
      for (const Operand& operand : part.operands) Py_VISIT(operand.function);
    }
  if (plan->moves != nullptr)
    for (const Move& move : *plan->moves) {
      Py_VISIT(move.owner);
      Py_VISIT(move.key);
    }
  return 0;
}

int plan_clear(PyObject* self) {
  PyPlan* plan = as_plan(self);
  if (plan->parts != nullptr)
    for (Part& part : *plan->parts)
      for (Operand& operand : part.operands) Py_CLEAR(operand.function);
  if (plan->moves != nullptr)
    for (Move& move : *plan->moves) {
      Py_CLEAR(move.owner);
      Py_CLEAR(move.key);
    }
  Py_CLEAR(plan->result);
  Py_CLEAR(plan->condition);
  return 0;
}

void plan_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  plan_clear(self);
  PyPlan* plan = as_plan(self);
  if (plan->news != nullptr)
    for (NewTensor& item : *plan->news)
      if (item.consumed != nullptr) program_release(item.consumed);
  if (plan->parts != nullptr)
    for (Part& part : *plan->parts) Py_CLEAR(part.op);
  delete plan->parts;
  delete plan->news;
  delete plan->rebinds;
  delete plan->moves;
  delete plan->condition_arguments;
  Py_CLEAR(plan->tree_object);
  Py_TYPE(self)->tp_free(self);
}

// plan(args, kwargs): the result, or NotImplemented if guards or predicates don't hold. For the slow path and for tests.
PyObject* plan_run(PyObject* self, PyObject* call_args) {
  PyObject *args, *kwargs;
  if (!PyArg_ParseTuple(call_args, "O!O!", &PyTuple_Type, &args, &PyDict_Type, &kwargs)) return nullptr;
  return guarded([&]() -> PyObject* {
    PyPlan* plan = as_plan(self);
    std::vector<PyObject*> stack;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) stack.push_back(PyTuple_GET_ITEM(args, i));
    Ref keys = checked(PyDict_Keys(kwargs));
    Ref keywords = checked(PyList_AsTuple(keys.get()));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keywords.get()); ++i)
      stack.push_back(PyDict_GetItem(kwargs, PyTuple_GET_ITEM(keywords.get(), i)));
    Fetched values(plan->tree->input_count());
    if (!plan->tree->evaluate({stack.data(), static_cast<size_t>(PyTuple_GET_SIZE(args)), keywords.get()}, values.data(),
                              nullptr) ||
        !condition_holds(plan, values))
      return Py_NewRef(Py_NotImplemented);
    Computed computed;
    PyObject* result_object = replay(plan, values, computed);
    if (result_object == nullptr) return Py_NewRef(Py_NotImplemented);
    ++plan->hits;
    return result_object;
  });
}

// CompiledFunction ----------------------------------------------------------------------------------------------------

PyObject* function_create(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  PyFunction* self = as_function(object);
  self->vectorcall = vectorcall;
  self->function = Py_NewRef(Py_None);
  self->plans = PyList_New(0);
  self->next_audit = ~0ull;
#if PY_VERSION_HEX < 0x030C0000
  // Before 3.12 a subclass does not inherit the flag. It is right as long as the subclass has no __call__ of its own.
  if (type->tp_call == PyVectorcall_Call) type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
#endif
  if (self->plans == nullptr) Py_CLEAR(object);
  return object;
}

int function_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(as_function(self)->function);
  Py_VISIT(as_function(self)->plans);
  Py_VISIT(as_function(self)->dict);
  return 0;
}

int function_clear(PyObject* self) {
  Py_CLEAR(as_function(self)->function);
  Py_CLEAR(as_function(self)->plans);
  Py_CLEAR(as_function(self)->dict);
  return 0;
}

void function_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  if (as_function(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  function_clear(self);
  Py_TYPE(self)->tp_free(self);
}

PyObject* set_config(PyObject*, PyObject* object) {
  Py_XSETREF(config, Py_NewRef(object));
  Py_RETURN_NONE;
}

PyObject* graph_consumed(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    return PyBool_FromLong(is_consumed(value_of(expect_tensor(tensor, "is_consumed", "tensor")).node));
  });
}

PyObject* share(PyObject*, PyObject* tensor) {
  return guarded([&] { return wrap(Value(value_of(expect_tensor(tensor, "share", "tensor")))); });
}

PyObject* consume(PyObject*, PyObject* args) {
  PyObject *tensor, *name;
  if (!PyArg_ParseTuple(args, "OU", &tensor, &name)) return nullptr;
  return guarded([&]() -> PyObject* {
    Value& value = value_of(expect_tensor(tensor, "consume", "tensor"));
    Program* program = consumed_program(name, value.meta);
    mark_consumed(value, program);
    program_release(program);
    Py_RETURN_NONE;
  });
}

PyMethodDef plan_methods[] = {{"run", plan_run, METH_VARARGS, "run(args, kwargs): the result, or NotImplemented if the guards don't hold."},
                              {nullptr}};
PyMemberDef plan_members[] = {{"hits", T_ULONGLONG, offsetof(PyPlan, hits), 0, "Calls that it has answered."}, {nullptr}};
PyMemberDef function_members[] = {
    {"function", T_OBJECT, offsetof(PyFunction, function), 0, "What was compiled."},
    {"plans", T_OBJECT, offsetof(PyFunction, plans), 0, "List of ReplayPlan, tried in order."},
    {"calls", T_ULONGLONG, offsetof(PyFunction, calls), 0, "Calls so far, eager ones by force not counted."},
    {"hits", T_ULONGLONG, offsetof(PyFunction, hits), 0, "Calls that a plan has answered."},
    {"next_audit", T_ULONGLONG, offsetof(PyFunction, next_audit), 0, "The call from which on _call_slowly is asked."},
    {"stays_eager", T_BOOL, offsetof(PyFunction, stays_eager), 0, "Whether every call goes to the function itself."},
    {nullptr}};
PyGetSetDef function_getset[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict}, {nullptr}};
PyMethodDef module_functions[] = {
    {"set_config", set_config, METH_O, "The object whose attribute `eager` makes compiled functions run eagerly."},
    {"is_consumed", graph_consumed, METH_O, "Whether a backward pass has used up the graph behind a tensor."},
    {"share", share, METH_O, "A new tensor object with the same value, on the tape where that is."},
    {"consume", consume, METH_VARARGS, "consume(tensor, name): make it look like the result of `name` with its graph used up."},
    {nullptr}};

}  // namespace

bool add_compiled_function(PyObject* module) {
  eager_name = PyUnicode_InternFromString("eager");
  slow_name = PyUnicode_InternFromString("_call_slowly");
  plan_type.tp_name = "twain._core.ReplayPlan";
  plan_type.tp_doc =
      "ReplayPlan(tree, modes, parts, news, rebinds, moves, result, condition, condition_arguments): what a call becomes when\n"
      "the guards of `tree` hold. Numbers below name values that the tree hands over; results are (part, output).\n"
      "parts: (op or None, attached, what its predicate was, operands), an operand being (value or -1, function of floats or\n"
      "None, its arguments, result or None); news: (result, attached, leaf, (name, Meta) of a consumed gradient function or\n"
      "None); rebinds: (handle's value, result, attached); moves: (slot, owner or None, owner's value, key, value or -1, new\n"
      "or -1); result: a template of nested tuples.";
  plan_type.tp_basicsize = sizeof(PyPlan);
  plan_type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC;
  plan_type.tp_new = plan_create;
  plan_type.tp_dealloc = plan_dealloc;
  plan_type.tp_traverse = plan_traverse;
  plan_type.tp_clear = plan_clear;
  plan_type.tp_methods = plan_methods;
  plan_type.tp_members = plan_members;
  function_type.tp_name = "twain._core.CompiledFunction";
  function_type.tp_doc = "Base of compiled functions: tries `plans`, and asks _call_slowly(args, kwargs) if none fits.";
  function_type.tp_basicsize = sizeof(PyFunction);
  function_type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL;
  function_type.tp_vectorcall_offset = offsetof(PyFunction, vectorcall);
  function_type.tp_call = PyVectorcall_Call;
  function_type.tp_new = function_create;
  function_type.tp_dealloc = function_dealloc;
  function_type.tp_traverse = function_traverse;
  function_type.tp_clear = function_clear;
  function_type.tp_members = function_members;
  function_type.tp_getset = function_getset;
  function_type.tp_dictoffset = offsetof(PyFunction, dict);
  function_type.tp_weaklistoffset = offsetof(PyFunction, weak_references);
  return eager_name != nullptr && slow_name != nullptr && PyModule_AddType(module, &plan_type) == 0 &&
         PyModule_AddType(module, &function_type) == 0 && PyModule_AddFunctions(module, module_functions) == 0;
}

}  // namespace twain
