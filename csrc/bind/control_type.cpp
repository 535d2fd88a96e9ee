// _core.ControlStep: a step of a program that runs other programs, one of several, or one again and again. No Python
// runs in between unless they have steps that call it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bind/module_parts.h"
#include "bind/python.h"
#include "dispatch/error.h"
#include "memory/allocator.h"
#include "plan/program.h"

namespace twain {
namespace {

enum class Kind { branch, call, scan, loop };

struct Control {
  Kind kind = Kind::branch;
  std::vector<Program*> programs;  // owned
  int64_t consts = 0, carries = 0;     // operands of the (first) program; of a loop's condition: first_consts
  int64_t first_consts = 0;
  int64_t length = 0;                  // iterations of a scan; at most so many of a loop, if >= 0
  bool reverse = false;
  int device = 0;
  std::vector<int64_t> slice_steps;    // bytes from one slice of a scanned operand to the next
  ~Control() {
    for (Program* program : programs) program_release(program);
  }
};

struct PyControl {
  PyObject_HEAD
  Control* control;
};

constexpr uint32_t kIterationsBetweenSignals = 256;

Value borrowed(void* data, Meta* meta, int device) {
  meta_retain(meta);
  return Value(borrow_memory(data, static_cast<size_t>(meta->nbytes), device, nullptr, nullptr), meta,
               static_cast<char*>(data));
}

void copy_out(const Value& value, void* into) {
  if (value.meta->nbytes > 0) std::memcpy(into, value.data, static_cast<size_t>(value.meta->nbytes));
}

// One program's operands and results, reused from call to call.
class Runner {
 public:
  Runner(Program* program) : program_(program), inputs(program->input_count), outputs(program->output_count) {}
  void run(uint64_t donated = 0) {
    pointers_.clear();
    for (const Value& value : inputs) pointers_.push_back(&value);
    program_run(program_, pointers_.data(), Donation{donated, 1}, outputs.data());
  }

 private:
  Program* program_;
  std::vector<const Value*> pointers_;

 public:
  std::vector<Value> inputs, outputs;
};

void check_signals(uint32_t iteration) {
  if (iteration % kIterationsBetweenSignals == kIterationsBetweenSignals - 1 && PyErr_CheckSignals() != 0) throw CallbackFailed();
}

void run_branch(const Control& control, void* const* buffers) {
  const bool chooses = control.kind == Kind::branch;
  const int64_t index = chooses ? *static_cast<const int64_t*>(buffers[0]) : 0;
  buffers += chooses;
  const auto last = static_cast<int64_t>(control.programs.size()) - 1;
  Program* program = control.programs[static_cast<size_t>(std::min(std::max<int64_t>(index, 0), last))];
  Runner runner(program);
  for (uint32_t i = 0; i < program->input_count; ++i) runner.inputs[i] = borrowed(buffers[i], program->inputs[i], control.device);
  runner.run();
  for (uint32_t i = 0; i < program->output_count; ++i) copy_out(runner.outputs[i], buffers[program->input_count + i]);
}

// Bits of the carried operands, which may be overwritten by the results that replace them.
uint64_t carried_bits(int64_t first, int64_t count) {
  uint64_t bits = 0;
  for (int64_t i = first; i < first + count && i < 64; ++i) bits |= uint64_t{1} << i;
  return bits;
}

void run_scan(const Control& control, void* const* buffers) {
  Program* program = control.programs[0];
  Runner runner(program);
  const auto carries = static_cast<size_t>(control.carries), first = static_cast<size_t>(control.consts);
  const size_t slices = control.slice_steps.size(), inputs = runner.inputs.size(), stacked = runner.outputs.size() - carries;
  for (size_t i = 0; i < inputs; ++i) {
    char* data = static_cast<char*>(buffers[i]);
    if (i >= first + carries && control.reverse && control.length > 0) data += (control.length - 1) * control.slice_steps[i - first - carries];
    runner.inputs[i] = borrowed(data, program->inputs[i], control.device);
  }
  const uint64_t donated = carried_bits(control.consts, control.carries);
  for (int64_t turn = 0; turn < control.length; ++turn) {
    const int64_t at = control.reverse ? control.length - 1 - turn : turn;
    runner.run(donated);
    for (size_t i = 0; i < stacked; ++i) {
      Value& y = runner.outputs[carries + i];
      copy_out(y, static_cast<char*>(buffers[inputs + carries + i]) + at * y.meta->nbytes);
      y.reset();
    }
    for (size_t i = 0; i < carries; ++i) {
      runner.inputs[first + i].reset();
      runner.inputs[first + i] = std::move(runner.outputs[i]);
    }
    for (size_t i = 0; i < slices; ++i)
      runner.inputs[first + carries + i].data += control.reverse ? -control.slice_steps[i] : control.slice_steps[i];
    check_signals(static_cast<uint32_t>(turn));
  }
  for (size_t i = 0; i < carries; ++i) copy_out(runner.inputs[first + i], buffers[inputs + i]);
}

void run_loop(const Control& control, void* const* buffers) {
  Runner condition(control.programs[0]), body(control.programs[1]);
  const auto first = static_cast<size_t>(control.first_consts), second = static_cast<size_t>(control.consts);
  const auto carries = static_cast<size_t>(control.carries);
  for (size_t i = 0; i < first; ++i) condition.inputs[i] = borrowed(buffers[i], control.programs[0]->inputs[i], control.device);
  for (size_t i = 0; i < second + carries; ++i) body.inputs[i] = borrowed(buffers[first + i], control.programs[1]->inputs[i], control.device);
  const uint64_t donated = carried_bits(control.consts, control.carries);
  for (int64_t turn = 0; control.length < 0 || turn < control.length; ++turn) {
    for (size_t i = 0; i < carries; ++i) condition.inputs[first + i] = body.inputs[second + i];
    condition.run();
    const bool goes_on = *reinterpret_cast<const uint8_t*>(condition.outputs[0].data) != 0;
    for (size_t i = 0; i < carries; ++i) condition.inputs[first + i].reset();
    condition.outputs[0].reset();
    if (!goes_on) break;
    body.run(donated);
    for (size_t i = 0; i < carries; ++i) {
      body.inputs[second + i].reset();
      body.inputs[second + i] = std::move(body.outputs[i]);
    }
    check_signals(static_cast<uint32_t>(turn));
  }
  for (size_t i = 0; i < carries; ++i) copy_out(body.inputs[second + i], buffers[first + second + carries + i]);
}

size_t expected_buffers(const Control& control) {
  const Program* program = control.programs.back();
  const size_t all = program->input_count + program->output_count;
  if (control.kind == Kind::branch) return 1 + all;
  return control.kind != Kind::loop ? all : static_cast<size_t>(control.first_consts) + all;
}

PyObject* call(PyObject* self, PyObject* args, PyObject*) {
  return guarded([&]() -> PyObject* {
    const Control& control = *reinterpret_cast<PyControl*>(self)->control;
    PyObject *addresses, *params;
    if (!PyArg_ParseTuple(args, "OO", &addresses, &params)) return nullptr;
    Ref items = checked(PySequence_Tuple(addresses));
    std::vector<void*> buffers;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
      buffers.push_back(PyLong_AsVoidPtr(PyTuple_GET_ITEM(items.get(), i)));
      if (PyErr_Occurred()) return nullptr;
    }
    if (buffers.size() != expected_buffers(control))
      throw Error(ErrorKind::value, "[ControlStep] expected " + std::to_string(expected_buffers(control)) + " buffers, got " +
                                        std::to_string(buffers.size()));
    if (control.kind == Kind::branch || control.kind == Kind::call)
      run_branch(control, buffers.data());
    else if (control.kind == Kind::scan)
      run_scan(control, buffers.data());
    else
      run_loop(control, buffers.data());
    Py_RETURN_NONE;
  });
}

void check(const Control& control) {
  auto bad = [](const char* what) { throw Error(ErrorKind::value, std::string("[ControlStep] expected ") + what); };
  if (control.programs.empty()) bad("at least one program");
  for (const Program* program : control.programs) {
    for (const Meta* meta : program->inputs)
      if (meta == nullptr) bad("programs without absent operands");
    for (const OutputSpec& output : program->outputs)
      if (!output.meta->contiguous) bad("programs with dense results");
  }
  const Program* body = control.programs.back();
  if (control.kind == Kind::branch || control.kind == Kind::call) {
    for (const Program* program : control.programs)
      if (program->inputs.size() != body->inputs.size() || program->outputs.size() != body->outputs.size())
        bad("branches with the same operands and results");
    return;
  }
  const auto first = static_cast<size_t>(control.consts), carries = static_cast<size_t>(control.carries);
  if (body->outputs.size() < carries || body->inputs.size() != first + carries + control.slice_steps.size())
    bad("a body with the stated operands and results");
  for (size_t i = 0; i < carries; ++i)
    if (body->inputs[first + i] != body->outputs[i].meta) bad("a body that gives back what it is given");
  if (control.kind == Kind::loop && (control.programs.size() != 2 || control.programs[0]->outputs.size() != 1 ||
                                     control.programs[0]->inputs.size() != static_cast<size_t>(control.first_consts) + carries))
    bad("a condition with one result, and a body");
}

// ControlStep(kind, programs, first_consts, consts, carries, length, reverse, slice_steps, device)
PyObject* create(PyTypeObject* type, PyObject* args, PyObject*) {
  const char* kind;
  PyObject *programs, *steps;
  long long first_consts, consts, carries, length;
  int reverse, device;
  if (!PyArg_ParseTuple(args, "sOLLLLpOi", &kind, &programs, &first_consts, &consts, &carries, &length, &reverse, &steps, &device))
    return nullptr;
  return guarded([&]() -> PyObject* {
    auto control = std::make_unique<Control>();
    const std::string name = kind;
    if (name != "branch" && name != "call" && name != "scan" && name != "loop")
      throw Error(ErrorKind::value, "[ControlStep] expected branch, call, scan or loop");
    control->kind = name == "branch" ? Kind::branch : name == "call" ? Kind::call : name == "scan" ? Kind::scan : Kind::loop;
    control->first_consts = first_consts;
    control->consts = consts;
    control->carries = carries;
    control->length = length;
    control->reverse = reverse != 0;
    control->device = device;
    Ref all = checked(PySequence_Tuple(programs));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(all.get()); ++i) {
      PyObject* item = PyTuple_GET_ITEM(all.get(), i);
      if (Py_TYPE(item) != &program_type) throw Error(ErrorKind::type, "[ControlStep] expected Programs");
      Program* program = reinterpret_cast<PyProgram*>(item)->program;
      program_retain(program);
      control->programs.push_back(program);
    }
    Ref sizes = checked(PySequence_Tuple(steps));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(sizes.get()); ++i) {
      control->slice_steps.push_back(PyLong_AsLongLong(PyTuple_GET_ITEM(sizes.get(), i)));
      if (PyErr_Occurred()) return nullptr;
    }
    check(*control);
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    reinterpret_cast<PyControl*>(self)->control = control.release();
    return self;
  });
}

void deallocate(PyObject* self) {
  delete reinterpret_cast<PyControl*>(self)->control;
  Py_TYPE(self)->tp_free(self);
}

PyTypeObject control_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

}  // namespace

bool add_control_type(PyObject* module) {
  control_type.tp_name = "twain._core.ControlStep";
  control_type.tp_doc =
      "ControlStep(kind, programs, first_consts, consts, carries, length, reverse, slice_steps, device): callable as a step of a "
      "Program.\n\nbranch: buffers (int64 index, operands, results); runs programs[index].\ncall: (operands, results); runs its program.\nscan: (consts, carries, slices, "
      "results); runs its program `length` times.\nloop: (consts of the condition, consts, carries, results); runs the second "
      "program while the first gives True, at most `length` times if length >= 0.";
  control_type.tp_basicsize = sizeof(PyControl);
  control_type.tp_flags = Py_TPFLAGS_DEFAULT;
  control_type.tp_new = create;
  control_type.tp_dealloc = deallocate;
  control_type.tp_call = call;
  return PyType_Ready(&control_type) == 0 &&
         PyModule_AddObject(module, "ControlStep", Py_NewRef(reinterpret_cast<PyObject*>(&control_type))) == 0;
}

}  // namespace twain
