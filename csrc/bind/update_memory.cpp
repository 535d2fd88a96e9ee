// _core.UpdateMemory: which operands and targets an optimizer's step had, so that the next one needs no lists.
//
// It trusts nothing that it can look up: parameters, gradients, settings and state are compared with what they were, and
// whatever differs sends the step back to Python, which teaches it anew.
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "bind/module_parts.h"
#include "bind/op_type.h"
#include "dispatch/error.h"

namespace twain {
namespace {

// A tensor under a name in a dictionary: a setting, a counter, the state of a parameter.
struct Entry {
  Ref holder;
  Ref name;
  Ref tensor;
};

struct Parameter {
  Ref tensor;
  Meta* meta = nullptr;  // owned
  bool active = false;   // has a gradient
};

// A tensor, or the gradient of a parameter, or what step_unless was given.
struct Operand {
  enum Kind : uint8_t { fixed, gradient, skip } kind = fixed;
  bool is_target = false;  // gets a new value, so its memory may be reused
  Ref tensor;              // fixed
  size_t parameter = 0;    // gradient
};

struct Lesson {
  Ref op;
  Attrs* attrs = nullptr;  // owned
  Ref flags;
  bool guarded = false;
  std::vector<Parameter> parameters;
  std::vector<Entry> entries;
  std::vector<Operand> operands;
  std::vector<Ref> targets;
  bool running = false;  // preparing the op may run Python, and that must not forget this

  Lesson() = default;
  Lesson(const Lesson&) = delete;
  Lesson& operator=(const Lesson&) = delete;
  ~Lesson() {
    attrs_release(attrs);
    for (const Parameter& parameter : parameters)
      if (parameter.meta != nullptr) meta_release(parameter.meta);
  }
};

struct UpdateMemory {
  PyObject_HEAD
  Lesson* lesson;
};
PyTypeObject memory_type = {PyVarObject_HEAD_INIT(nullptr, 0)};
UpdateMemory* as_memory(PyObject* object) { return reinterpret_cast<UpdateMemory*>(object); }

void forget(UpdateMemory* memory) { delete std::exchange(memory->lesson, nullptr); }

class Running {
 public:
  explicit Running(Lesson* lesson) : lesson_(lesson) { lesson_->running = true; }
  ~Running() { lesson_->running = false; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Lesson* lesson_;
};

bool has_gradient(PyObject* tensor) { return handle_of(tensor).grad != nullptr; }

bool fits(const Lesson& lesson, PyObject* params, PyObject* flags, PyObject* skip) {
  if (lesson.guarded != (skip != Py_None) || (lesson.guarded && !is_tensor(skip))) return false;
  if (static_cast<size_t>(PyList_GET_SIZE(params)) != lesson.parameters.size()) return false;
  const int same = PyObject_RichCompareBool(flags, lesson.flags.get(), Py_EQ);
  if (same < 0) throw CallbackFailed();
  if (same == 0) return false;
  for (size_t i = 0; i < lesson.parameters.size(); ++i) {
    const Parameter& parameter = lesson.parameters[i];
    PyObject* tensor = PyList_GET_ITEM(params, static_cast<Py_ssize_t>(i));
    if (tensor != parameter.tensor.get() || value_of(tensor).meta != parameter.meta || has_gradient(tensor) != parameter.active)
      return false;
  }
  for (const Entry& entry : lesson.entries)
    if (PyDict_GetItemWithError(entry.holder.get(), entry.name.get()) != entry.tensor.get()) {
      if (PyErr_Occurred()) throw CallbackFailed();
      return false;
    }
  return true;
}

// One dispatch; parameters and state are updated where they lie, unless somebody else holds their memory.
void run(const Lesson& lesson, PyObject* skip) {
  const size_t count = lesson.operands.size();
  SmallArray<const Value*, 32> inputs(count);
  SmallArray<Handle*, 32> handles(count);
  std::vector<Value> held;  // of what is only read a second reference, where donation goes by references
  Call call;
  for (size_t i = 0; i < count; ++i) {
    const Operand& operand = lesson.operands[i];
    Handle* handle = operand.kind == Operand::fixed      ? &handle_of(operand.tensor.get())
                     : operand.kind == Operand::gradient ? handle_of(lesson.parameters[operand.parameter].tensor.get()).grad
                                                         : &handle_of(skip);
    handles[i] = handle;
    inputs[i] = &handle->value;
    if (i >= 64 && !operand.is_target) held.push_back(handle->value.detached());
    if (i < 64 && operand.is_target) call.donated |= uint64_t{1} << i;
  }
  call.op = &as_op(lesson.op.get())->op;
  call.attrs = lesson.attrs;
  call.inputs = inputs.data();
  call.handles = handles.data();
  call.count = static_cast<uint32_t>(count);
  call.donates_rest = count > 64;
  call.record = false;
  Values outputs;
  dispatch(call, outputs);
  if (outputs.size() != lesson.targets.size())
    throw Error(ErrorKind::runtime, "[UpdateMemory] expected as many results as targets");
  for (size_t i = 0; i < outputs.size(); ++i) handle_assign(&handle_of(lesson.targets[i].get()), std::move(outputs[i]));
}

// repeat(params, flags, skip): the step once more, if all is as it was; else False, and nothing has happened.
PyObject* repeat(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 3 || !PyList_Check(args[0])) {
    PyErr_SetString(PyExc_TypeError, "[UpdateMemory.repeat] expected a list of parameters, flags, and None or a tensor");
    return nullptr;
  }
  const Modes& current = modes();
  const Lesson* lesson = as_memory(self)->lesson;
  if (lesson == nullptr || current.recorder != nullptr || current.anomaly || current.tracing || current.observer != nullptr)
    Py_RETURN_FALSE;
  return guarded([&]() -> PyObject* {
    if (lesson->running || !fits(*lesson, args[0], args[1], args[2])) Py_RETURN_FALSE;
    Running running(as_memory(self)->lesson);
    run(*lesson, args[2]);
    Py_RETURN_TRUE;
  });
}

PyObject* tuple_item(PyObject* tuple, Py_ssize_t index) { return PyTuple_GET_ITEM(tuple, index); }

// learn(op, statics, params, entries, operands, targets)
PyObject* learn(PyObject* self, PyObject* args) {
  PyObject *op, *statics_given, *params, *entries, *operands, *targets;
  if (!PyArg_ParseTuple(args, "O!O!O!O!O!O!", &op_type, &op, &PyTuple_Type, &statics_given, &PyList_Type, &params, &PyList_Type, &entries,
                        &PyList_Type, &operands, &PyList_Type, &targets))
    return nullptr;
  return guarded([&]() -> PyObject* {
    UpdateMemory* memory = as_memory(self);
    if (memory->lesson != nullptr && memory->lesson->running) Py_RETURN_NONE;
    const Modes& current = modes();
    if (current.recorder != nullptr || current.tracing || current.observer != nullptr) Py_RETURN_NONE;
    if (PyTuple_GET_SIZE(statics_given) != 3) throw Error(ErrorKind::value, "[UpdateMemory.learn] expected three static arguments");
    auto lesson = std::make_unique<Lesson>();
    lesson->op = Ref::borrow(op);
    lesson->guarded = tuple_item(statics_given, 1) == Py_True;
    lesson->flags = Ref::borrow(tuple_item(statics_given, 2));
    Statics statics;
    statics.names.resize(3);
    statics.values.resize(3);
    for (Py_ssize_t i = 0; i < 3; ++i) statics.values[static_cast<size_t>(statics.count++)] = tuple_item(statics_given, i);
    lesson->attrs = resolve_attrs(as_op(op), statics);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(params); ++i) {
      PyObject* tensor = expect_tensor(PyList_GET_ITEM(params, i), "UpdateMemory.learn", "a parameter");
      Meta* meta = value_of(tensor).meta;
      meta_retain(meta);
      lesson->parameters.push_back({Ref::borrow(tensor), meta, has_gradient(tensor)});
    }
    std::unordered_set<PyObject*> written;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(targets); ++i) {
      PyObject* tensor = expect_tensor(PyList_GET_ITEM(targets, i), "UpdateMemory.learn", "a target");
      lesson->targets.push_back(Ref::borrow(tensor));
      written.insert(tensor);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(entries); ++i) {
      PyObject* entry = PyList_GET_ITEM(entries, i);
      if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 3 || !PyDict_Check(tuple_item(entry, 0)))
        throw Error(ErrorKind::type, "[UpdateMemory.learn] expected entries (dictionary, name, tensor)");
      lesson->entries.push_back(
          {Ref::borrow(tuple_item(entry, 0)), Ref::borrow(tuple_item(entry, 1)), Ref::borrow(tuple_item(entry, 2))});
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(operands); ++i) {
      PyObject* item = PyList_GET_ITEM(operands, i);
      Operand operand;
      if (item == Py_None) {
        operand.kind = Operand::skip;
      } else if (PyLong_Check(item)) {
        operand.kind = Operand::gradient;
        operand.parameter = PyLong_AsSize_t(item);
        if (operand.parameter >= lesson->parameters.size() || !lesson->parameters[operand.parameter].active)
          throw Error(ErrorKind::value, "[UpdateMemory.learn] expected the number of a parameter with a gradient");
      } else {
        operand.tensor = Ref::borrow(expect_tensor(item, "UpdateMemory.learn", "an operand"));
        operand.is_target = written.contains(item);
      }
      lesson->operands.push_back(std::move(operand));
    }
    forget(memory);
    memory->lesson = lesson.release();
    Py_RETURN_NONE;
  });
}

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) { return type->tp_alloc(type, 0); }

int traverse(PyObject* self, visitproc visit, void* arg) {
  const Lesson* lesson = as_memory(self)->lesson;
  if (lesson == nullptr) return 0;
  Py_VISIT(lesson->op.get());
  for (const Entry& entry : lesson->entries) Py_VISIT(entry.holder.get());
  return 0;
}

int clear(PyObject* self) {
  forget(as_memory(self));
  return 0;
}

void deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  forget(as_memory(self));
  PyObject_GC_Del(self);
}

// Copies and pickles of an optimizer begin with nothing learnt.
PyObject* reduce(PyObject*, PyObject*) {
  return Py_BuildValue("(O())", reinterpret_cast<PyObject*>(&memory_type));
}

PyMethodDef methods[] = {
    {"repeat", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(repeat)), METH_FASTCALL,
     "repeat(params, flags, skip) -> bool: the step once more if nothing differs from what was learnt; else False."},
    {"learn", learn, METH_VARARGS,
     "learn(op, statics, params, entries, operands, targets): what a step consists of.\n\n"
     "statics: (steps, guarded, flags) of the op. entries: (dictionary, name, tensor) that must stay as they are. operands:\n"
     "tensors; i for the gradient of params[i]; None for `skip`. targets: tensors that take the results."},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {nullptr}};

}  // namespace

bool add_update_memory(PyObject* module) {
  memory_type.tp_name = "twain._core.UpdateMemory";
  memory_type.tp_doc = "The operands and targets of an optimizer's last step, so that the next one needs no Python to find them.";
  memory_type.tp_basicsize = sizeof(UpdateMemory);
  memory_type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC;
  memory_type.tp_new = create;
  memory_type.tp_dealloc = deallocate;
  memory_type.tp_traverse = traverse;
  memory_type.tp_clear = clear;
  memory_type.tp_methods = methods;
  return PyModule_AddType(module, &memory_type) == 0;
}

}  // namespace twain
