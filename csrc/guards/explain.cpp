// Saying in the user's words which guard a call failed.
#include <iterator>

#include "guards/checks.h"
#include "guards/guard_tree.h"
#include "guards/tensor_probe.h"

namespace twain {
namespace {

constexpr size_t kLongestRepr = 80;

// Takes over the reference; an exception becomes "?".
std::string to_text(PyObject* text) {
  const char* bytes = text != nullptr && PyUnicode_Check(text) ? PyUnicode_AsUTF8(text) : nullptr;
  std::string result = bytes != nullptr ? bytes : "?";
  PyErr_Clear();
  Py_XDECREF(text);
  return result;
}

std::string type_name(PyObject* object) { return Py_TYPE(object)->tp_name; }

// The repr, cut short without splitting a character.
std::string short_repr(PyObject* object) {
  std::string text = to_text(PyObject_Repr(object));
  if (text.size() <= kLongestRepr) return text;
  size_t end = kLongestRepr;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string attribute_text(PyObject* object, const char* name) {
  PyObject* value = PyObject_GetAttrString(object, name);
  std::string text = to_text(value == nullptr ? nullptr : PyObject_Str(value));
  Py_XDECREF(value);
  return text;
}

// "float32 (2, 3)", with strides where the layout is not the usual one; for tensors and Metas.
std::string array_text(PyObject* array) {
  std::string text = attribute_text(array, "dtype") + " " + attribute_text(array, "shape");
  const std::string device = attribute_text(array, "device");
  if (device != "0" && device != "cpu" && device != "cpu:0") text += " on " + device;
  return text;
}

std::string presence(bool there) { return there ? "a gradient" : "no gradient"; }

std::string tensor_text(PyObject* expected, PyObject* value) {
  if (Py_TYPE(value) != tensor_probe.tensor_type) {
    return "expected a tensor, " + array_text(PyTuple_GET_ITEM(expected, 0)) + ", got " + type_name(value);
  }
  PyObject* meta = PyTuple_GET_ITEM(expected, 0);
  const TensorFacts facts = tensor_probe.facts(value);
  if (facts.meta != tensor_probe.meta_address(meta)) {
    std::string wanted = array_text(meta), got = array_text(value);
    if (wanted == got) {
      wanted += " with strides " + attribute_text(meta, "strides");
      got += " with strides " + attribute_text(value, "strides");
    }
    return "expected " + wanted + ", got " + got;
  }
  const bool requires_grad = PyTuple_GET_ITEM(expected, 1) == Py_True;
  if (facts.requires_grad != requires_grad) {
    return std::string("expected requires_grad=") + (requires_grad ? "True, got False" : "False, got True");
  }
  return "expected " + presence(!facts.has_grad) + " in .grad, got " + presence(facts.has_grad);
}

std::string key_text(PyObject* keys) {
  std::string text;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys); ++i) {
    text += (i == 0 ? "" : ", ") + short_repr(PyTuple_GET_ITEM(keys, i));
    if (i == 7 && PyTuple_GET_SIZE(keys) > 8) return text + ", ...";
  }
  return text;
}

std::string keys_of(PyObject* dict) {
  PyObject* list = PyDict_Keys(dict);
  PyObject* keys = list == nullptr ? nullptr : PyList_AsTuple(list);
  std::string text = keys == nullptr ? "?" : key_text(keys);
  PyErr_Clear();
  Py_XDECREF(keys);
  Py_XDECREF(list);
  return text;
}

std::string quoted(const std::string& path) {
  std::string text(1, '`');
  text.append(path).push_back('`');
  return text;
}

std::string modes_text(PyObject* word) {
  const unsigned long long modes = PyLong_Check(word) ? PyLong_AsUnsignedLongLong(word) : 0;
  PyErr_Clear();
  std::string text = (modes & kModeGrad) != 0 ? "gradients on" : "gradients off";
  if ((modes & kModeAnomaly) != 0) text += ", detecting anomalies";
  if ((modes >> kModeAutocastShift & 63) != 0) text += ", autocasting";
  return (modes >> kModeDeviceShift) != 0 ? text + ", default device " + std::to_string(modes >> kModeDeviceShift) : text;
}

template <typename Names>
std::string joined(const Names& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

std::string GuardTree::path(int32_t index) const {
  const Node& node = nodes_[static_cast<size_t>(index)];
  PyObject* const text = texts_[static_cast<size_t>(index)].get();
  if (text != nullptr) return to_text(PyObject_Str(text));
  const std::string parent = node.parent >= 0 ? path(node.parent) : "";
  PyObject* const key = node.key.get();
  switch (node.fetch) {
    case Fetch::argument: return to_text(PyObject_Str(argument_names_[static_cast<size_t>(node.position)].get()));
    case Fetch::keyword: return to_text(PyObject_Str(keyword_names_[static_cast<size_t>(node.position)].get()));
    case Fetch::constant: return PyModule_Check(key) ? attribute_text(key, "__name__") : short_repr(key);
    case Fetch::modes: return "modes of the thread";
    case Fetch::attribute: return parent + "." + to_text(PyObject_Str(key));
    case Fetch::item: return parent + "[" + short_repr(key) + "]";
    case Fetch::index: return parent + "[" + std::to_string(node.position) + "]";
    case Fetch::type: return "type(" + parent + ")";
    case Fetch::length: return "len(" + parent + ")";
    case Fetch::cell:
    case Fetch::value:
    case Fetch::holder: return parent;
  }
  return parent;
}

std::string GuardTree::explain(const Call& call) {
  std::vector<PyObject*> values(nodes_.size(), nullptr);
  Failure failure;
  const std::string text =
      attempt(call, values.data(), failure) ? "all guards hold" : describe(failure, call, values.data());
  for (PyObject* value : values) Py_XDECREF(value);
  return text;
}

std::string GuardTree::describe(const Failure& failure, const Call& call, PyObject* const* values) const {
  if (failure.kind == Failure::wrong_count) {
    return "expected " + std::to_string(argument_names_.size()) + " positional arguments, got " +
           std::to_string(call.positional);
  }
  if (failure.kind == Failure::wrong_keywords) {
    std::vector<std::string> expected, got;
    for (const Held& name : keyword_names_) expected.push_back(to_text(PyObject_Str(name.get())));
    for (Py_ssize_t i = 0; call.keywords != nullptr && i < PyTuple_GET_SIZE(call.keywords); ++i) {
      got.push_back(to_text(PyObject_Str(PyTuple_GET_ITEM(call.keywords, i))));
    }
    return "expected keyword arguments: " + joined(expected) + "; got: " + joined(got);
  }
  const std::string where = path(failure.node);
  if (failure.kind == Failure::aliased) {
    return quoted(path(failure.other)) + " and " + quoted(where) + " are one tensor now, and were two";
  }
  const Node& node = nodes_[static_cast<size_t>(failure.node)];
  PyObject* const value = values[failure.node];
  PyObject* const expected = node.expected.get();
  const std::string start = quoted(where) + ": ";
  if (value == nullptr) return start + "does not exist any more";
  switch (node.check) {
    case Check::none: break;
    case Check::absent: return start + "did not exist, got " + short_repr(value);
    case Check::type: {
      PyObject* const got = reinterpret_cast<PyObject*>(Py_TYPE(value));
      return start + "expected type " + attribute_text(expected, "__qualname__") + ", got " +
             attribute_text(got, "__qualname__");
    }
    case Check::equal:
      if (node.fetch == Fetch::modes) return "expected " + modes_text(expected) + ", got " + modes_text(value);
      return start + "expected " + short_repr(expected) + ", got " + short_repr(value);
    case Check::length: {
      const Py_ssize_t length = length_of(value);
      return start + "expected length " + std::to_string(node.number) + ", got " +
             (length < 0 ? type_name(value) : std::to_string(length));
    }
    case Check::keys:
      return start + "expected a dict with the keys " + key_text(expected) + ", got " +
             (PyDict_Check(value) ? keys_of(value) : type_name(value));
    case Check::tensor: return start + tensor_text(expected, value);
    case Check::range:
      return start + "expected integers in [" + short_repr(PyTuple_GET_ITEM(expected, 0)) + ", " +
             short_repr(PyTuple_GET_ITEM(expected, 1)) + ")";
    case Check::same: return start + "expected the same object as " + quoted(path(node.other));
    case Check::identity: return start + "expected the object " + short_repr(expected) + ", got " + short_repr(value);
  }
  return start + "changed";
}

}  // namespace twain
