// _core.set_threads, _core.get_threads
#include "threads/pool.h"

#include "bind/parts.h"

namespace nb = nanobind;

namespace {

void set_threads(nb::object n) {
  PyObject* index = PyNumber_Index(n.ptr());
  if (index == nullptr) {
    PyErr_Clear();
    throw nb::type_error(nb::str("[set_threads] expected n: an int, got {}").format(n.type().attr("__name__")).c_str());
  }
  nb::object number = nb::steal(index);
  int overflow = 0;
  const long long threads = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0 || threads < 1 || threads > twain::kMaxThreads) {
    throw nb::value_error(
        nb::str("[set_threads] expected 1 <= n <= {}, got {}").format(twain::kMaxThreads, number).c_str());
  }
  twain::set_threads(static_cast<int>(threads));
}

}  // namespace

void bind_threads(nb::module_& module) {
  module.def("set_threads", &set_threads, nb::arg("n").none(),
             "Share large computations among `n` threads, the calling one included.\n\n"
             "Results do not depend on it. Raises ValueError unless 1 <= n <= 1024.");
  module.def("get_threads", &twain::get_threads,
             "How many threads share a large computation.\n\n"
             "Unless set: the environment variable TWAIN_THREADS, else the physical cores this process may use.");
}
