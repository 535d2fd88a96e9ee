// _core.load_object, _core.ObjectCode
#include "plan/object_loader.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <string>

#include "bind/parts.h"
#include "dispatch/error.h"

namespace nb = nanobind;

namespace {

std::unique_ptr<twain::ObjectCode> load(const nb::bytes& data, twain::Machine machine) {
  try {
    return twain::load_object(data.data(), data.size(), machine);
  } catch (const twain::OutOfMemory& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const twain::Error& error) {
    PyErr_SetString(error.kind == twain::ErrorKind::value ? PyExc_ValueError : PyExc_RuntimeError, error.what());
  }
  throw nb::python_error();
}

uint64_t symbol(const twain::ObjectCode& code, const std::string& name) {
  const auto found = code.symbols().find(name);
  if (found != code.symbols().end()) return found->second;
  std::string known;
  for (const auto& [other, address] : code.symbols()) known += (known.empty() ? "" : ", ") + other;
  throw nb::key_error(("[ObjectCode.symbol] no symbol '" + name + "'; there are: " + known).c_str());
}

// For tests of the relocations of machines other than this one: (address, bytes, {symbol: address}).
nb::tuple relocated_image(const nb::bytes& data, int machine) {
  if (machine != static_cast<int>(twain::Machine::x86_64) && machine != static_cast<int>(twain::Machine::aarch64)) {
    throw nb::value_error("[_relocated_image] expected machine: 62 (x86-64) or 183 (aarch64)");
  }
  const auto code = load(data, static_cast<twain::Machine>(machine));
  return nb::make_tuple(reinterpret_cast<uint64_t>(code->base()), nb::bytes(code->base(), code->nbytes()),
                        code->symbols());
}

}  // namespace

void bind_object_loader(nb::module_& module) {
  nb::class_<twain::ObjectCode>(module, "ObjectCode",
                                "Executable code of one loaded object; freed with this Python object.")
      .def("symbol", &symbol, nb::arg("name"), "Address of a global symbol. Raises KeyError if there is none.")
      .def("symbols", &twain::ObjectCode::symbols, "All global symbols: {name: address}.")
      .def_prop_ro("nbytes", &twain::ObjectCode::nbytes, "Memory it takes: whole pages.");
  module.def(
      "load_object", [](const nb::bytes& data) { return load(data, twain::host_machine()); }, nb::arg("data"),
      "Load a relocatable ELF object for this machine into executable memory.\n\n"
      "The object may use memcpy, memmove and memset from outside, nothing else. Raises ValueError for a damaged file, "
      "an\n"
      "unknown symbol or relocation, or code for another machine.");
  module.def("_relocated_image", &relocated_image, nb::arg("data"), nb::arg("machine"));
}
