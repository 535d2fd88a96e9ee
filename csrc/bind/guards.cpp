// _core.GuardTree, _core.modes
#include "guards/guard_tree.h"

#include <nanobind/stl/string.h>

#include <new>
#include <vector>

#include "bind/parts.h"
#include "bind/python.h"
#include "bind/reading_functions.h"
#include "dispatch/modes.h"
#include "guards/tensor_probe.h"

namespace nb = nanobind;
using twain::GuardTree;

namespace {

twain::TensorFacts facts_of(PyObject* tensor) {
  const twain::Handle& handle = twain::handle_of(tensor);
  const twain::Node* node = handle.value.node;
  // A leaf with hooks is none that a plan may stand for: the hooks would not run.
  const bool hooked = node != nullptr && node->leaf != nullptr && node->extra != nullptr && !node->extra->hooks.empty();
  return {handle.value.meta, node != nullptr, handle.grad != nullptr, !hooked && twain::handle_is_leaf(&handle)};
}

const void* meta_address(PyObject* object) {
  return Py_TYPE(object) == &twain::meta_type ? reinterpret_cast<twain::PyMeta*>(object)->meta : nullptr;
}

bool inside(PyObject* tensor, int64_t low, int64_t high, int64_t except) {
  return twain::is_inside_or(twain::handle_of(tensor).value, low, high, except);
}

uint64_t modes() {
  const twain::Modes& now = twain::modes();
  return (now.grad_enabled ? uint64_t{twain::kModeGrad} : 0) | (now.anomaly ? uint64_t{twain::kModeAnomaly} : 0) |
         static_cast<uint64_t>(now.autocast) << twain::kModeAutocastShift |
         static_cast<uint64_t>(now.device) << twain::kModeDeviceShift;
}

// A call given as (tuple, dict), laid out as in the vectorcall protocol.
struct UnpackedCall {
  UnpackedCall(const nb::tuple& positional, const nb::dict& keywords) {
    for (nb::handle value : positional) values.push_back(value.ptr());
    nb::list list;
    for (const auto& [name, value] : keywords) {
      if (!PyUnicode_Check(name.ptr())) throw nb::type_error("[GuardTree] expected kwargs: a dict with str keys");
      list.append(name);
      values.push_back(value.ptr());
    }
    names = nb::tuple(list);
    call = {values.data(), positional.size(), names.ptr()};
  }
  std::vector<PyObject*> values;
  nb::tuple names;
  GuardTree::Call call;
};

nb::object check(GuardTree& tree, const nb::tuple& args, const nb::dict& kwargs) {
  const UnpackedCall unpacked(args, kwargs);
  std::vector<PyObject*> inputs(tree.input_count());
  if (!tree.evaluate(unpacked.call, inputs.data(), nullptr)) return nb::none();
  nb::object list = nb::steal(PyList_New(static_cast<Py_ssize_t>(inputs.size())));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (list.is_valid()) {
      PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), inputs[i]);
    } else {
      Py_DECREF(inputs[i]);
    }
  }
  if (!list.is_valid()) throw nb::python_error();
  return list;
}

std::string explain(GuardTree& tree, const nb::tuple& args, const nb::dict& kwargs) {
  return tree.explain(UnpackedCall(args, kwargs).call);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
#if PY_VERSION_HEX >= 0x03090000
  Py_VISIT(Py_TYPE(self));
#endif
  return nb::inst_ready(self) ? nb::inst_ptr<GuardTree>(self)->traverse(visit, arg) : 0;
}

int clear(PyObject* self) {
  if (nb::inst_ready(self)) nb::inst_ptr<GuardTree>(self)->clear();
  return 0;
}

PyType_Slot kSlots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)}, {Py_tp_clear, reinterpret_cast<void*>(clear)}, {0, nullptr}};

constexpr const char* kDoc = R"(A program of guards, evaluated natively before a plan is used.

GuardTree(nodes, argument_names=(), keyword_names=(), distinct=True)

A call fits only if it has len(argument_names) positional arguments and exactly the keywords keyword_names, in any
order. `nodes` are tuples (fetch, parent, key, check, expected[, wanted[, text]]), in order. `parent` is the index of an
earlier node (ignored for the first four kinds).

fetch       key                          value
argument    position                     that argument
keyword     name                         that keyword argument
constant    any object                   the object itself; the tree keeps it alive
modes       -                            the thread's switches, as _core.modes() gives them
attribute   name                         getattr(parent, name)
item        str, number, bytes, ...      parent[key] for a dict
index       int >= 0                     parent[key] for a list or tuple
cell        -                            what the closure cell holds
type        -                            type(parent)
length      -                            len(parent) for a built-in container
value       -                            parent once more, for another check

check       expected                     holds if
none        -                            the value exists
absent      -                            it does not
identity    any object                   value is expected
type        a type                       type(value) is expected
equal       bool, int, float, ...        same type and value; floats by their bits
length      int                          len(value) == expected, for a built-in container
keys        tuple                        a dict with just these keys in this order
tensor      (Meta, bool, bool or None)   a Tensor with this Meta, requires_grad and whether .grad is set (None: either);
                                         a fourth entry, a bool, also asks whether it is a leaf
same        index of an earlier node     value is that node's value

`wanted`: the value is an input of the plan. With `distinct`, wanted tensors must be different objects, and so must be
values for which `wanted` is 2, which are not handed over. `text` is how the
user would write the value, if that cannot be derived from the parent's (a global: "global scale").
Raises ValueError for a description that makes no sense.)";

}  // namespace

GuardTree* guard_tree_of(PyObject* object) {
  return nb::isinstance<GuardTree>(object) && nb::inst_ready(object) ? nb::inst_ptr<GuardTree>(object) : nullptr;
}

void bind_guards(nb::module_& module) {
  twain::tensor_probe = {&twain::tensor_type, facts_of, meta_address, inside, modes};
  module.def("modes", &modes,
             "The switches of the calling thread as an int: 1 gradients are recorded, 2 anomalies are detected, from bit 8 the "
             "default device.");
  module.def("default_device", [] { return twain::modes().device; }, "The number of the device where the calling thread makes tensors.");
  module.def("set_default_device", &twain::set_default_device, "Make tensors of the calling thread there; returns the previous one.");
  nb::class_<GuardTree>(module, "GuardTree", nb::type_slots(kSlots), kDoc)
      .def(
          "__init__",
          [](GuardTree* self, nb::object nodes, nb::object argument_names, nb::object keyword_names, bool distinct) {
            new (self) GuardTree;
            if (self->build(nodes.ptr(), argument_names.ptr(), keyword_names.ptr(), distinct)) return;
            self->~GuardTree();
            throw nb::python_error();
          },
          nb::arg("nodes"), nb::arg("argument_names") = nb::make_tuple(), nb::arg("keyword_names") = nb::make_tuple(),
          nb::arg("distinct") = true)
      .def("check", &check, nb::arg("args"), nb::arg("kwargs"),
           "The wanted values as a list if the call args, kwargs fits, else None.")
      .def("explain", &explain, nb::arg("args"), nb::arg("kwargs"),
           "Which guard the call fails, in the user's words, or 'all guards hold'.");
}
