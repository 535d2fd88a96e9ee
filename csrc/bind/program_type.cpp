// _core.Program: checks what Python assembled and makes the core's Program of it.
#include <memory>
#include <string>

#include "bind/python.h"
#include "dispatch/error.h"

namespace twain {
namespace {

[[noreturn]] void bad(const char* what) { throw Error(ErrorKind::type, std::string("[Program] expected ") + what); }

int64_t integer(PyObject* object) {
  const int64_t number = PyLong_AsLongLong(object);
  if (number == -1 && PyErr_Occurred()) throw CallbackFailed();
  return number;
}

void read_inputs(PyObject* sequence, Program* program) {
  Ref inputs = checked(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs.get()); ++i) {
    PyObject* item = PyTuple_GET_ITEM(inputs.get(), i);
    Meta* meta = item == Py_None ? nullptr : meta_of(item, "Program");
    if (meta != nullptr) meta_retain(meta);
    program->inputs.push_back(meta);
  }
}

void read_outputs(PyObject* sequence, Program* program) {
  Ref outputs = checked(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(outputs.get()); ++i) {
    Ref item = checked(PySequence_Tuple(PyTuple_GET_ITEM(outputs.get(), i)));
    if (PyTuple_GET_SIZE(item.get()) != 4) bad("outputs: tuples (meta, alias, byte_delta, reuse)");
    OutputSpec spec;
    spec.meta = meta_of(PyTuple_GET_ITEM(item.get(), 0), "Program");
    spec.alias = static_cast<int32_t>(integer(PyTuple_GET_ITEM(item.get(), 1)));
    spec.byte_delta = integer(PyTuple_GET_ITEM(item.get(), 2));
    Ref reuse = checked(PySequence_Tuple(PyTuple_GET_ITEM(item.get(), 3)));
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(reuse.get()); ++k)
      spec.reuse.push_back(static_cast<uint32_t>(integer(PyTuple_GET_ITEM(reuse.get(), k))));
    meta_retain(spec.meta);
    program->outputs.push_back(std::move(spec));
  }
}

void read_step(PyObject* sequence, Program* program) {
  Ref item = checked(PySequence_Tuple(sequence));
  if (PyTuple_GET_SIZE(item.get()) != 5) bad("steps: tuples (address, buffers, params, total, grain)");
  Step step;
  PyObject* address = PyTuple_GET_ITEM(item.get(), 0);
  PyObject* host = nullptr;
  if (PyLong_Check(address)) {
    step.kernel = reinterpret_cast<Kernel>(PyLong_AsVoidPtr(address));
    if (step.kernel == nullptr && PyErr_Occurred()) throw CallbackFailed();
  } else if (PyCallable_Check(address)) {
    host = address;
  } else {
    bad("a step's address: an int, or a callable");
  }
  Ref buffers = checked(PySequence_Tuple(PyTuple_GET_ITEM(item.get(), 1)));
  step.first_buffer = static_cast<uint32_t>(program->buffers.size());
  step.buffer_count = static_cast<uint32_t>(PyTuple_GET_SIZE(buffers.get()));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(buffers.get()); ++i) {
    Ref pair = checked(PySequence_Tuple(PyTuple_GET_ITEM(buffers.get(), i)));
    if (PyTuple_GET_SIZE(pair.get()) != 2) bad("a step's buffers: tuples (slot, byte offset)");
    const int64_t slot = integer(PyTuple_GET_ITEM(pair.get(), 0));
    if (slot < 0 || slot > INT32_MAX) bad("slots from 0");
    program->buffers.push_back({static_cast<uint32_t>(slot), integer(PyTuple_GET_ITEM(pair.get(), 1))});
  }
  Ref params = checked(PySequence_Tuple(PyTuple_GET_ITEM(item.get(), 2)));
  step.first_param = static_cast<uint32_t>(program->params.size());
  step.param_count = static_cast<uint32_t>(PyTuple_GET_SIZE(params.get()));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(params.get()); ++i)
    program->params.push_back(integer(PyTuple_GET_ITEM(params.get(), i)));
  step.total = integer(PyTuple_GET_ITEM(item.get(), 3));
  step.grain = integer(PyTuple_GET_ITEM(item.get(), 4));
  step.host = Py_XNewRef(host);
  program->steps.push_back(step);
}

PyObject* create(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", "inputs", "outputs", "arena_bytes", "steps", "keep", nullptr};
  const char* name;
  PyObject *inputs, *outputs, *steps, *keep = Py_None;
  Py_ssize_t arena_bytes;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sOOnO|O", const_cast<char**>(names), &name, &inputs, &outputs,
                                   &arena_bytes, &steps, &keep))
    return nullptr;
  return guarded([&]() -> PyObject* {
    auto program = std::make_unique<Program>();
    program->name = name;
    if (arena_bytes < 0) bad("arena_bytes >= 0");
    program->arena_bytes = static_cast<size_t>(arena_bytes);
    read_inputs(inputs, program.get());
    read_outputs(outputs, program.get());
    Ref all_steps = checked(PySequence_Tuple(steps));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(all_steps.get()); ++i) read_step(PyTuple_GET_ITEM(all_steps.get(), i), program.get());
    if (keep != Py_None) program->keep = Py_NewRef(keep);
    program_finish(program.get());
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    program->object = self;
    reinterpret_cast<PyProgram*>(self)->program = program.release();
    return self;
  });
}

Program* self_program(PyObject* self) { return reinterpret_cast<PyProgram*>(self)->program; }

void deallocate(PyObject* self) {
  Program* program = self_program(self);
  if (program != nullptr) {
    program->object = nullptr;
    program_release(program);
  }
  PyObject_Free(self);
}

PyGetSetDef attributes[] = {
    {"name", [](PyObject* self, void*) { return PyUnicode_FromString(self_program(self)->name.c_str()); }},
    {"arena_bytes", [](PyObject* self, void*) { return PyLong_FromSize_t(self_program(self)->arena_bytes); }},
    {"step_count", [](PyObject* self, void*) { return PyLong_FromSize_t(self_program(self)->steps.size()); }},
    {"simple", [](PyObject* self, void*) { return PyBool_FromLong(self_program(self)->simple); }, nullptr,
     "Runs on the shortest path: one kernel, one fresh output, one thread."},
    {"output_metas",
     [](PyObject* self, void*) -> PyObject* {
       const Program* program = self_program(self);
       Ref tuple(PyTuple_New(static_cast<Py_ssize_t>(program->outputs.size())));
       for (size_t i = 0; tuple && i < program->outputs.size(); ++i)
         PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), meta_object(program->outputs[i].meta));
       return PyErr_Occurred() ? nullptr : tuple.release();
     }},
    {nullptr}};

}  // namespace

PyTypeObject program_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

bool add_program_type(PyObject* module) {
  program_type.tp_name = "twain._core.Program";
  program_type.tp_doc =
      "Program(name, inputs, outputs, arena_bytes, steps, keep=None): kernels and the buffers they run on.\n\n"
      "outputs: (meta, alias, byte_delta, reuse); steps: (address or callable, ((slot, byte offset), ...), params, "
      "total, grain).\nA callable is called as f(addresses, params).";
  program_type.tp_basicsize = sizeof(PyProgram);
  program_type.tp_flags = Py_TPFLAGS_DEFAULT;
  program_type.tp_new = create;
  program_type.tp_dealloc = deallocate;
  program_type.tp_getset = attributes;
  return PyType_Ready(&program_type) == 0 &&
         PyModule_AddObject(module, "Program", Py_NewRef(reinterpret_cast<PyObject*>(&program_type))) == 0;
}

}  // namespace twain
