// _core.start_profile and stop_profile: what the calls of a thread did, as tuples in a list.
#include "plan/profiler.h"

#include "bind/op_type.h"
#include "bind/profiler.h"
#include "bind/tensor_type.h"
#include "dispatch/error.h"
#include "dispatch/modes.h"
#include "dispatch/runtime.h"
#include "memory/allocator.h"
#include "plan/program.h"

namespace twain {
namespace {

size_t bytes_in_use() {
  size_t total = 0;
  for (const Account& account : allocator.accounts) total += account.in_use;
  return total;
}

Ref step_times(const ProfiledCall& call) {
  const std::vector<StepTime>& all = call.profiler->steps;
  Ref steps = checked(PyTuple_New(static_cast<Py_ssize_t>(all.size() - call.first_step)));
  for (size_t i = call.first_step; i < all.size(); ++i) {
    const StepTime& one = all[i];
    PyObject* item = Py_BuildValue("iLL", one.program == call.program ? static_cast<int>(one.step) : -1,
                                   static_cast<long long>(one.begin), static_cast<long long>(one.end));
    PyTuple_SET_ITEM(steps.get(), static_cast<Py_ssize_t>(i - call.first_step), checked(item).release());
  }
  return steps;
}

PyObject* start_profile(PyObject*, PyObject* events) {
  if (!PyList_CheckExact(events)) {
    PyErr_Format(PyExc_TypeError, "[start_profile] expected a list, got %s", Py_TYPE(events)->tp_name);
    return nullptr;
  }
  if (thread_modes.profiler != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "[profile] expected no profile under way in this thread; profiles don't nest");
    return nullptr;
  }
  auto* profiler = new Profiler;
  profiler->events = Py_NewRef(events);
  set_profiler(profiler);
  return PyLong_FromLongLong(nanoseconds_now());
}

PyObject* stop_profile(PyObject*, PyObject*) {
  const int64_t end = nanoseconds_now();
  Profiler* profiler = set_profiler(nullptr);
  if (profiler != nullptr) {
    Py_DECREF(static_cast<PyObject*>(profiler->events));
    delete profiler;
  }
  return PyLong_FromLongLong(end);
}

}  // namespace

void on_profile(const ProfiledCall& call) {
  Ref steps = step_times(call);
  Ref metas = checked(PyTuple_New(static_cast<Py_ssize_t>(call.program->inputs.size())));
  for (size_t i = 0; i < call.program->inputs.size(); ++i) {
    Meta* meta = call.program->inputs[i];
    PyTuple_SET_ITEM(metas.get(), static_cast<Py_ssize_t>(i), meta != nullptr ? checked(meta_object(meta)).release() : Py_NewRef(Py_None));
  }
  PyObject* line = call.line != nullptr ? static_cast<PyObject*>(call.line) : Py_None;
  Ref event(Py_BuildValue("OOOOOLLOn", reinterpret_cast<PyObject*>(op_object(call.op)), attrs_object(call.attrs), metas.get(), line,
                          call.backward ? Py_True : Py_False, static_cast<long long>(call.begin),
                          static_cast<long long>(call.end), steps.get(), static_cast<Py_ssize_t>(bytes_in_use())));
  if (PyList_Append(static_cast<PyObject*>(call.profiler->events), checked(event.release()).get()) != 0) throw CallbackFailed();
}

PyMethodDef profiler_functions[] = {
    {"start_profile", start_profile, METH_O,
     "Append to the list what each call of this thread did: (op, static arguments, layouts of the operands, the user's line\n"
     "or None, whether in a backward pass, begin, end, ((step or -1 for one of a program inside, begin, end), ...), bytes in use).\n"
     "Times are nanoseconds of a steady clock; returns the present one."},
    {"stop_profile", stop_profile, METH_NOARGS, "End what start_profile began; returns the time."},
    {nullptr}};

}  // namespace twain
