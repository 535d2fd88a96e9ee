#include "bind/call_memory.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include "bind/op_type.h"
#include "dispatch/error.h"

namespace twain {
namespace {

constexpr uint32_t kMaxWords = 40;
constexpr uint32_t kMaxTensors = 12;
constexpr uint32_t kMaxHeld = 16;
constexpr size_t kMaxSteps = 24;
constexpr uint32_t kSets = 1024;  // of two entries each: a newcomer takes the place of the older one

struct Remembered {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* function;
  PyObject* dict;
  PyObject* weak_references;
};
PyTypeObject remembered_type = {PyVarObject_HEAD_INIT(nullptr, 0)};
Remembered* as_remembered(PyObject* object) { return reinterpret_cast<Remembered*>(object); }

// ------------------------------------------------------------------------------------------------------------- keys
// All that a call depends on: descriptions of tensors, values of numbers, identities of what never changes.
struct Key {
  uint64_t words[kMaxWords];
  uint32_t count = 0;
  PyObject* tensors[kMaxTensors];  // borrowed
  uint32_t tensor_count = 0;
  PyObject* held[kMaxHeld];        // known by their address, borrowed
  uint32_t held_count = 0;

  bool push(uint64_t word) {
    if (count == kMaxWords) return false;
    words[count++] = word;
    return true;
  }
};

enum Tag : uint64_t { tensor_tag = 1, int_tag, float_tag, identity_tag, tuple_tag, list_tag, slice_tag };

uint64_t tagged(Tag tag, uint64_t payload) { return payload << 3 | tag; }

bool push_identity(Key& key, PyObject* object) {
  if (key.held_count == kMaxHeld) return false;
  key.held[key.held_count++] = object;
  return key.push(tagged(identity_tag, reinterpret_cast<uintptr_t>(object)));
}

// Not for ints outside 64 bits, subclasses of the types below, and anything else. Strings are known by their address: of
// equal ones each has a key of its own.
bool push(Key& key, PyObject* object) {
  if (is_tensor(object)) {
    if (key.tensor_count == kMaxTensors) return false;
    const Value& value = value_of(object);
    key.tensors[key.tensor_count++] = object;
    return key.push(tagged(tensor_tag, uint64_t{value.meta->id} << 1 | (value.node != nullptr ? 1 : 0)));
  }
  if (PyLong_CheckExact(object)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow == 0 && key.push(int_tag) && key.push(static_cast<uint64_t>(number));
  }
  if (PySlice_Check(object)) {
    auto* slice = reinterpret_cast<PySliceObject*>(object);
    return key.push(slice_tag) && push(key, slice->start) && push(key, slice->stop) && push(key, slice->step);
  }
  if (PyTuple_CheckExact(object) || PyList_CheckExact(object)) {
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
    if (!key.push(tagged(PyTuple_CheckExact(object) ? tuple_tag : list_tag, static_cast<uint64_t>(count)))) return false;
    for (Py_ssize_t i = 0; i < count; ++i)
      if (!push(key, PySequence_Fast_GET_ITEM(object, i))) return false;
    return true;
  }
  if (PyFloat_CheckExact(object)) {
    const double number = PyFloat_AS_DOUBLE(object);
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    return key.push(float_tag) && key.push(bits);
  }
  if (object == Py_None || object == Py_Ellipsis || PyBool_Check(object) || Py_TYPE(object) == dtype_type || is_op(object) ||
      PyUnicode_CheckExact(object))
    return push_identity(key, object);
  return false;
}

bool key_of_call(Key& key, const Remembered* self, PyObject* const* args, Py_ssize_t nargs, PyObject* names) {
  const Modes& current = modes();
  key.push(reinterpret_cast<uintptr_t>(self));
  key.push(static_cast<uint64_t>(nargs) << 32 | static_cast<uint64_t>(current.device) << 1 | (current.grad_enabled ? 1 : 0));
  for (Py_ssize_t i = 0; i < nargs; ++i)
    if (!push(key, args[i])) return false;
  if (names == nullptr) return true;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i)
    if (!push(key, PyTuple_GET_ITEM(names, i)) || !push(key, args[nargs + i])) return false;
  return true;
}

// ------------------------------------------------------------------------------------------------------------ plans
struct Source {
  enum Kind : uint8_t { absent, argument, constant, result } kind = absent;
  uint32_t index = 0;
};

struct Step {
  PyOp* op = nullptr;                  // owned, with its attrs
  Attrs* attrs = nullptr;
  ReadingFunction reading = nullptr;   // instead of an op
  std::vector<int64_t> numbers;        // for it; of a step that is neither: the range of an index
  std::vector<Source> inputs;
  uint32_t output_count = 0;
};

struct Plan {
  int references = 1;
  std::vector<Step> steps;
  std::vector<Value> constants;        // made of Python's numbers
  std::vector<Source> results;
  PyTypeObject* tuple = nullptr;       // owned; null: one tensor
  size_t slots = 0;

  ~Plan() {
    for (Step& step : steps) {
      attrs_release(step.attrs);
      Py_XDECREF(reinterpret_cast<PyObject*>(step.op));
    }
    Py_XDECREF(reinterpret_cast<PyObject*>(tuple));
  }
};

class PlanRef {
 public:
  explicit PlanRef(Plan* plan) : plan_(plan) { ++plan_->references; }
  ~PlanRef() {
    if (--plan_->references == 0) delete plan_;
  }
  PlanRef(const PlanRef&) = delete;
  PlanRef& operator=(const PlanRef&) = delete;
  const Plan& operator*() const { return *plan_; }

 private:
  Plan* plan_;
};

struct Entry {
  std::vector<uint64_t> words;  // empty: free
  Plan* plan = nullptr;         // owned, as is all that the words name
  std::vector<Meta*> metas;
  std::vector<PyObject*> held;
};

void release(Entry& entry) {
  Entry old;
  std::swap(old, entry);
  if (old.plan != nullptr && --old.plan->references == 0) delete old.plan;
  for (Meta* meta : old.metas) meta_release(meta);
  for (PyObject* object : old.held) Py_DECREF(object);
}

Entry* entries() {
  static Entry* const table = new Entry[2 * kSets];  // never freed: Python may be gone by then
  return table;
}

Entry* set_of(const Key& key) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < key.count; ++i) {
    hash = (hash ^ key.words[i]) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
  }
  return entries() + 2 * (hash % kSets);
}

Plan* find(const Key& key) {
  Entry* set = set_of(key);
  for (int i = 0; i < 2; ++i)
    if (set[i].words.size() == key.count && std::memcmp(set[i].words.data(), key.words, key.count * sizeof(uint64_t)) == 0)
      return set[i].plan;
  return nullptr;
}

// ---------------------------------------------------------------------------------------------------------- watching
// Follows one call of a Python function: which checks and ops it is made of, if it is made of nothing else.
class Watcher final : public CallObserver {
 public:
  explicit Watcher(const Key& key) : key_(key), plan_(new Plan) {
    for (uint32_t i = 0; i < key.tensor_count; ++i)
      for (uint32_t j = 0; j < i; ++j)
        if (key.tensors[i] == key.tensors[j]) spoil();  // f(x, x) says nothing of f(x, y)
  }
  ~Watcher() {
    if (--plan_->references == 0) delete plan_;
  }

  void spoil() override { spoiled_ = true; }

  void on_op(const Call& call, const Value* const* inputs, const Values& outputs) override {
    if (call.donated != 0 || call.like != nullptr || !call.record || call.handles == nullptr) return spoil();
    Step step;
    step.op = op_object(call.op);
    if (step.op == nullptr) return spoil();
    step.attrs = call.attrs;
    add(std::move(step), call.handles, inputs, call.count, &outputs);
  }

  void on_reading(ReadingFunction function, Handle* const* handles, const Value* const* inputs, uint32_t count,
                  const int64_t* numbers, uint32_t number_count, const Values& outputs) {
    Step step;
    step.reading = function;
    step.numbers.assign(numbers, numbers + number_count);
    add(std::move(step), handles, inputs, count, &outputs);
  }

  void on_range(Handle* index, int64_t low, int64_t high) {
    Step step;
    step.numbers = {low, high};
    const Value* const value = &index->value;
    add(std::move(step), &index, &value, 1, nullptr);
  }

  // Whether what the function returned is all from here.
  bool finish(PyObject* result) {
    if (spoiled_) return false;
    if (is_tensor(result)) return add_result(result);
    if (!PyTuple_Check(result)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
      if (!is_tensor(PyTuple_GET_ITEM(result, i)) || !add_result(PyTuple_GET_ITEM(result, i))) return false;
    plan_->tuple = reinterpret_cast<PyTypeObject*>(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(result))));
    return true;
  }

  void remember() {
    Entry fresh;
    fresh.words.assign(key_.words, key_.words + key_.count);
    fresh.plan = plan_;
    ++plan_->references;
    for (uint32_t i = 0; i < key_.tensor_count; ++i) {
      fresh.metas.push_back(metas_[i]);
      meta_retain(metas_[i]);
    }
    fresh.held.push_back(Py_NewRef(reinterpret_cast<PyObject*>(static_cast<uintptr_t>(key_.words[0]))));
    for (uint32_t i = 0; i < key_.held_count; ++i) fresh.held.push_back(Py_NewRef(key_.held[i]));
    Entry* set = set_of(key_);
    std::swap(set[0], set[1]);
    std::swap(set[0], fresh);
    release(fresh);
  }

  // The tensors' descriptions before the call: the function might have written to them.
  void note_metas() {
    for (uint32_t i = 0; i < key_.tensor_count; ++i) {
      before_.push_back(value_of(key_.tensors[i]));
      metas_[i] = before_.back().meta;
    }
  }
  bool untouched() const {
    for (uint32_t i = 0; i < key_.tensor_count; ++i)
      if (!same(value_of(key_.tensors[i]), before_[i])) return false;
    return true;
  }

 private:
  static bool same(const Value& a, const Value& b) {
    return a.storage == b.storage && a.data == b.data && a.meta == b.meta && a.node == b.node && a.output == b.output;
  }

  // A tensor that holds the very value of one argument, as `x.detach()` does outside of the tape.
  bool aliased(const Value& value, Source& source) const {
    for (uint32_t i = 0; i < key_.tensor_count; ++i) {
      if (!same(before_[i], value)) continue;
      if (source.kind != Source::absent) return false;  // of which one?
      source = {Source::argument, i};
    }
    return source.kind != Source::absent;
  }

  bool locate(const Handle* handle, const Value& value, Source& source) {
    for (uint32_t i = 0; handle != nullptr && i < key_.tensor_count; ++i)
      if (handle == &handle_of(key_.tensors[i])) {
        source = {Source::argument, i};
        return true;
      }
    for (size_t i = 0; i < values_.size(); ++i)
      if (same(values_[i], value)) {
        source = {Source::result, static_cast<uint32_t>(i)};
        return true;
      }
    if (handle != nullptr || value.meta->ndim != 0 || value.node != nullptr || !is_weak(value.meta->dtype)) return aliased(value, source);
    source = {Source::constant, static_cast<uint32_t>(plan_->constants.size())};
    plan_->constants.push_back(value);
    return true;
  }

  void add(Step&& step, Handle* const* handles, const Value* const* inputs, uint32_t count, const Values* outputs) {
    if (spoiled_ || plan_->steps.size() == kMaxSteps) return spoil();
    step.inputs.resize(count);
    for (uint32_t i = 0; i < count; ++i)
      if (inputs[i] != nullptr && !locate(handles[i], *inputs[i], step.inputs[i])) return spoil();
    if (outputs != nullptr) {
      step.output_count = static_cast<uint32_t>(outputs->size());
      for (size_t i = 0; i < outputs->size(); ++i) values_.push_back((*outputs)[i]);  // kept, so that none is mistaken for another
    }
    if (step.op != nullptr) {
      Py_INCREF(reinterpret_cast<PyObject*>(step.op));
      attrs_retain(step.attrs);
    }
    plan_->slots = values_.size();
    plan_->steps.push_back(std::move(step));
  }

  bool add_result(PyObject* tensor) {
    Source source;
    if (!locate(&handle_of(tensor), value_of(tensor), source)) return false;
    plan_->results.push_back(source);
    return true;
  }

  const Key& key_;
  Plan* plan_;
  Meta* metas_[kMaxTensors];
  std::vector<Value> before_;
  std::vector<Value> values_;
  bool spoiled_ = false;
};

Watcher* watcher() { return static_cast<Watcher*>(modes().observer); }

// ----------------------------------------------------------------------------------------------------------- calling
PyObject* call_function(const Remembered* self, PyObject* const* args, size_t flags, PyObject* names) {
  return PyObject_Vectorcall(self->function, args, flags, names);
}

PyObject* watch(const Remembered* self, const Key& key, PyObject* const* args, size_t flags, PyObject* names) {
  Watcher watched(key);
  watched.note_metas();
  Ref result;
  {
    ObserverScope scope(&watched);
    result = checked(call_function(self, args, flags, names));
  }
  if (watched.untouched() && watched.finish(result.get())) watched.remember();
  return result.release();
}

const Value* value_from(const Source& source, const Plan& plan, const Key& key, Value* slots) {
  switch (source.kind) {
    case Source::absent: return nullptr;
    case Source::argument: return &value_of(key.tensors[source.index]);
    case Source::constant: return &plan.constants[source.index];
    case Source::result: return &slots[source.index];
  }
  return nullptr;
}

bool in_range(const Value& value, int64_t low, int64_t high) {
  Ref bad(outside(value, low, high));
  if (!bad && PyErr_Occurred()) throw CallbackFailed();
  return !bad;
}

// The results in `slots`; false: an index is out of range, or something else only Python knows.
bool run_plan(const Plan& plan, const Key& key, Value* slots) {
  uint32_t next = 0;
  for (const Step& step : plan.steps) {
    const auto count = static_cast<uint32_t>(step.inputs.size());
    SmallArray<const Value*, 4> inputs(count);
    for (uint32_t i = 0; i < count; ++i) inputs[i] = value_from(step.inputs[i], plan, key, slots);
    if (step.op == nullptr && step.reading == nullptr) {
      if (!in_range(*inputs[0], step.numbers[0], step.numbers[1])) return false;
      continue;
    }
    if (step.op != nullptr && step.output_count == 1 && (count == 1 || (count == 2 && inputs[1] != nullptr)) && inputs[0] != nullptr &&
        dispatch_fast(&step.op->op, step.attrs, inputs[0], count == 2 ? inputs[1] : nullptr, slots[next])) {
      ++next;
      continue;
    }
    Values outputs;
    if (step.reading != nullptr) {
      step.reading(inputs.data(), count, step.numbers.data(), outputs);
    } else {
      Call call;
      call.op = &step.op->op;
      call.attrs = step.attrs;
      call.inputs = inputs.data();
      call.count = count;
      dispatch(call, outputs);
    }
    if (outputs.size() != step.output_count) return false;  // it declined
    for (size_t i = 0; i < outputs.size(); ++i) slots[next++] = std::move(outputs[i]);
  }
  return true;
}

PyObject* result_object(const Source& source, const Key& key, Value* slots) {
  if (source.kind == Source::argument) return Py_NewRef(key.tensors[source.index]);
  return wrap(Value(slots[source.index]));
}

PyObject* vectorcall(PyObject* object, PyObject* const* args, size_t flags, PyObject* names) {
  const Remembered* self = as_remembered(object);
  const Modes& current = modes();
  if (current.recorder != nullptr || current.anomaly || current.tracing || current.observer != nullptr || current.autocast != 0) [[unlikely]]
    return call_function(self, args, flags, names);
  Key key;
  if (!key_of_call(key, self, args, PyVectorcall_NARGS(flags), names)) return call_function(self, args, flags, names);
  Plan* found = find(key);
  return guarded([&]() -> PyObject* {
    if (found == nullptr) return watch(self, key, args, flags, names);
    const PlanRef held(found);
    const Plan& plan = *held;
    SmallArray<Value, 4> slots(plan.slots);
    if (!run_plan(plan, key, slots.data())) return call_function(self, args, flags, names);
    if (plan.tuple == nullptr) return result_object(plan.results[0], key, slots.data());
    Ref items = checked(PyTuple_New(static_cast<Py_ssize_t>(plan.results.size())));
    for (size_t i = 0; i < plan.results.size(); ++i)
      PyTuple_SET_ITEM(items.get(), static_cast<Py_ssize_t>(i), checked(result_object(plan.results[i], key, slots.data())).release());
    if (plan.tuple == &PyTuple_Type) return items.release();
    Ref arguments = checked(PyTuple_Pack(1, items.get()));
    return PyTuple_Type.tp_new(plan.tuple, arguments.get(), nullptr);
  });
}

// -------------------------------------------------------------------------------------------------------------- type
PyObject* create(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"function", nullptr};
  PyObject* function;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", const_cast<char**>(names), &function)) return nullptr;
  if (!PyFunction_Check(function)) {
    PyErr_Format(PyExc_TypeError, "[Remembered] expected a Python function, got %s", Py_TYPE(function)->tp_name);
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    Ref holder = checked(type->tp_alloc(type, 0));
    Remembered* self = as_remembered(holder.get());
    self->vectorcall = vectorcall;
    self->function = Py_NewRef(function);
    self->dict = checked(PyDict_New()).release();
    for (const char* name : {"__module__", "__name__", "__qualname__", "__doc__"}) {
      Ref value = checked(PyObject_GetAttrString(function, name));
      if (PyDict_SetItemString(self->dict, name, value.get()) != 0) throw CallbackFailed();
    }
    if (PyDict_SetItemString(self->dict, "__wrapped__", function) != 0) throw CallbackFailed();
    return holder.release();
  });
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(as_remembered(self)->function);
  Py_VISIT(as_remembered(self)->dict);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(as_remembered(self)->function);
  Py_CLEAR(as_remembered(self)->dict);
  return 0;
}

void deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  if (as_remembered(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  clear(self);
  PyObject_GC_Del(self);
}

PyObject* represent(PyObject* self) { return PyObject_Repr(as_remembered(self)->function); }

PyObject* bind_to(PyObject* self, PyObject* instance, PyObject*) {
  return instance == nullptr ? Py_NewRef(self) : PyMethod_New(self, instance);
}

PyObject* reduce(PyObject* self, PyObject*) { return PyObject_GetAttrString(self, "__qualname__"); }

PyGetSetDef attributes[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict}, {nullptr}};
PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, "Pickled by name, as functions are."}, {nullptr}};

}  // namespace

void report_reading(ReadingFunction function, Handle* const* handles, const Value* const* inputs, uint32_t count,
                    const int64_t* numbers, uint32_t number_count, const Values& outputs) {
  if (Watcher* active = watcher()) active->on_reading(function, handles, inputs, count, numbers, number_count, outputs);
}

void report_range(Handle* index, int64_t low, int64_t high) {
  if (Watcher* active = watcher()) active->on_range(index, low, high);
}

void forget_calls() {
  for (uint32_t i = 0; i < 2 * kSets; ++i) release(entries()[i]);
}

bool add_remembered_type(PyObject* module) {
  remembered_type.tp_name = "twain._core.Remembered";
  remembered_type.tp_doc = nullptr;
  remembered_type.tp_basicsize = sizeof(Remembered);
  remembered_type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;
  remembered_type.tp_vectorcall_offset = offsetof(Remembered, vectorcall);
  remembered_type.tp_dictoffset = offsetof(Remembered, dict);
  remembered_type.tp_weaklistoffset = offsetof(Remembered, weak_references);
  remembered_type.tp_call = PyVectorcall_Call;
  remembered_type.tp_new = create;
  remembered_type.tp_dealloc = deallocate;
  remembered_type.tp_traverse = traverse;
  remembered_type.tp_clear = clear;
  remembered_type.tp_repr = represent;
  remembered_type.tp_descr_get = bind_to;
  remembered_type.tp_getset = attributes;
  remembered_type.tp_methods = methods;
  remembered_type.tp_getattro = PyObject_GenericGetAttr;
  remembered_type.tp_setattro = PyObject_GenericSetAttr;
  return PyType_Ready(&remembered_type) == 0 &&
         PyModule_AddObject(module, "Remembered", Py_NewRef(reinterpret_cast<PyObject*>(&remembered_type))) == 0;
}

}  // namespace twain
