// Building a guard tree from its description in Python.
#include <cstring>
#include <iterator>

#include "guards/checks.h"
#include "guards/guard_tree.h"
#include "guards/tensor_probe.h"

namespace twain {
namespace {

template <size_t Count>
int index_of(PyObject* name, const char* const (&names)[Count]) {
  if (PyUnicode_Check(name)) {
    for (size_t i = 0; i < Count; ++i) {
      if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) return static_cast<int>(i);
    }
  }
  return -1;
}

// An int of [0, 2^31); -1 if it is none.
int32_t small_number(PyObject* object) {
  if (!PyLong_CheckExact(object)) return -1;
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  return overflow == 0 && number >= 0 && number <= INT32_MAX ? static_cast<int32_t>(number) : -1;
}

Held interned(PyObject* text) {
  Py_INCREF(text);
  PyUnicode_InternInPlace(&text);
  Held held(text);
  Py_DECREF(text);
  return held;
}

bool needs_parent(Fetch fetch) { return fetch > Fetch::modes; }

// Keys whose hashing and comparing runs no code of the user's.
bool is_plain_key(PyObject* key) {
  if (PyTuple_CheckExact(key)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) {
      if (!is_plain_key(PyTuple_GET_ITEM(key, i))) return false;
    }
    return true;
  }
  return PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyFloat_CheckExact(key) || PyBool_Check(key) ||
         PyBytes_CheckExact(key) || PyComplex_CheckExact(key) || key == Py_None || PyType_CheckExact(key);
}

bool names_from(PyObject* sequence, std::vector<Held>& names) {
  PyObject* fast = PySequence_Fast(sequence, "[GuardTree] expected names: a sequence of str");
  if (fast == nullptr) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast); ++i) {
    PyObject* name = PySequence_Fast_GET_ITEM(fast, i);
    if (!PyUnicode_CheckExact(name)) {
      PyErr_SetString(PyExc_TypeError, "[GuardTree] expected names: a sequence of str");
      Py_DECREF(fast);
      return false;
    }
    names.push_back(interned(name));
  }
  Py_DECREF(fast);
  return true;
}

}  // namespace

bool GuardTree::build(PyObject* specs, PyObject* argument_names, PyObject* keyword_names, bool distinct) {
  distinct_ = distinct;
  if (!names_from(argument_names, argument_names_) || !names_from(keyword_names, keyword_names_)) return false;
  PyObject* fast = PySequence_Fast(specs, "[GuardTree] expected nodes: a sequence of tuples");
  if (fast == nullptr) return false;
  std::vector<int32_t> place;  // of each node described, in nodes_
  bool built = true;
  for (Py_ssize_t i = 0; built && i < PySequence_Fast_GET_SIZE(fast); ++i) {
    std::string problem;
    built = add_node(PySequence_Fast_GET_ITEM(fast, i), place, problem);
    if (!built) PyErr_Format(PyExc_ValueError, "[GuardTree] node %zd: %s", i, problem.c_str());
  }
  Py_DECREF(fast);
  if (distinct_ && !tensors_.empty()) {
    size_t slots = 4;
    while (slots < 2 * tensors_.size()) slots *= 2;
    seen_.resize(slots);
  }
  return built;
}

bool GuardTree::add_node(PyObject* spec, std::vector<int32_t>& place, std::string& problem) {
  if (!PyTuple_CheckExact(spec) || PyTuple_GET_SIZE(spec) < 5 || PyTuple_GET_SIZE(spec) > 7) {
    problem = "expected a tuple (fetch, parent, key, check, expected[, wanted[, text]])";
    return false;
  }
  PyObject* const* field = &PyTuple_GET_ITEM(spec, 0);
  const int fetch = index_of(field[0], kFetchNames), check = index_of(field[3], kCheckNames);
  if (fetch < 0 || check < 0) {
    problem = fetch < 0 ? "unknown kind of fetch" : "unknown kind of check";
    return false;
  }
  Node node;
  node.fetch = static_cast<Fetch>(fetch);
  node.check = static_cast<Check>(check);
  if (needs_parent(node.fetch)) {
    const int32_t parent = small_number(field[1]);
    if (parent < 0 || static_cast<size_t>(parent) >= place.size()) {
      problem = "expected parent: the index of an earlier node";
      return false;
    }
    node.parent = place[static_cast<size_t>(parent)];
    if (nodes_[static_cast<size_t>(node.parent)].check == Check::absent) {
      problem = "the parent is expected to be absent";
      return false;
    }
  }
  if (!set_fetch(node, field[2], problem) || !set_check(node, field[4], place, problem)) return false;
  bool only_distinct = false;
  if (PyTuple_GET_SIZE(spec) > 5) {
    const int wanted = PyObject_IsTrue(field[5]);
    if (wanted < 0) PyErr_Clear();
    only_distinct = PyLong_CheckExact(field[5]) && PyLong_AsLong(field[5]) == 2;
    node.wanted = wanted == 1 && !only_distinct;
  }
  if (node.wanted && node.check == Check::absent) {
    problem = "what is absent cannot be wanted";
    return false;
  }
  PyObject* text = nullptr;
  if (PyTuple_GET_SIZE(spec) > 6 && field[6] != Py_None) {
    if (!PyUnicode_Check(field[6])) {
      problem = "expected text: a str or None";
      return false;
    }
    text = field[6];
  }
  if (node.fetch == Fetch::attribute) node.holder = holder_of(node.parent);
  const auto index = static_cast<int32_t>(nodes_.size());
  place.push_back(index);
  if (node.wanted) inputs_.push_back(index);
  if (only_distinct || (node.wanted && node.check == Check::tensor)) tensors_.push_back(index);
  nodes_.push_back(std::move(node));
  texts_.emplace_back(text);
  return true;
}

// The node that fetches the instance dict for all attributes of `parent`.
int32_t GuardTree::holder_of(int32_t parent) {
  for (size_t i = static_cast<size_t>(parent) + 1; i < nodes_.size(); ++i) {
    if (nodes_[i].fetch == Fetch::holder && nodes_[i].parent == parent) return static_cast<int32_t>(i);
  }
  Node holder;
  holder.fetch = Fetch::holder;
  holder.check = Check::none;
  holder.parent = parent;
  holder.holder = static_cast<int32_t>(types_.size());
  types_.emplace_back();
  nodes_.push_back(std::move(holder));
  texts_.emplace_back();
  return static_cast<int32_t>(nodes_.size()) - 1;
}

bool GuardTree::set_fetch(Node& node, PyObject* key, std::string& problem) const {
  switch (node.fetch) {
    case Fetch::argument:
      node.position = small_number(key);
      if (node.position >= 0 && static_cast<size_t>(node.position) < argument_names_.size()) return true;
      problem = "expected key: the position of an argument";
      return false;
    case Fetch::keyword:
      for (size_t i = 0; PyUnicode_Check(key) && i < keyword_names_.size(); ++i) {
        node.position = static_cast<int32_t>(i);
        if (PyUnicode_Compare(keyword_names_[i].get(), key) == 0) return true;
      }
      problem = "expected key: one of keyword_names";
      return false;
    case Fetch::index:
      node.position = small_number(key);
      if (node.position >= 0) return true;
      problem = "expected key: an int >= 0";
      return false;
    case Fetch::attribute:
      if (!PyUnicode_CheckExact(key)) {
        problem = "expected key: a str";
        return false;
      }
      node.key = interned(key);
      return true;
    case Fetch::item:
      if (!is_plain_key(key)) {
        problem = "expected key: a str, number, bool, bytes, None, type, or a tuple of them";
        return false;
      }
      node.key = PyUnicode_CheckExact(key) ? interned(key) : Held(key);
      return true;
    case Fetch::modes:
      if (tensor_probe.modes != nullptr) return true;
      problem = "modes cannot be read in this build";
      return false;
    case Fetch::constant: node.key = Held(key); return true;
    default: return true;
  }
}

bool GuardTree::set_check(Node& node, PyObject* expected, const std::vector<int32_t>& place,
                          std::string& problem) const {
  node.expected = Held(expected);
  switch (node.check) {
    case Check::type:
      if (PyType_Check(expected)) return true;
      problem = "expected a type";
      return false;
    case Check::equal:
      node.equality = equality_of(expected);
      if (node.equality != Equality::identity || expected == Py_None || PyBool_Check(expected)) {
        node.number = number_of(expected);
        return true;
      }
      problem = "expected a bool, int, float, complex, str, bytes or None to compare with";
      return false;
    case Check::length:
      node.number = small_number(expected);
      if (node.number >= 0) return true;
      problem = "expected a length: an int >= 0";
      return false;
    case Check::keys:
      if (PyTuple_CheckExact(expected)) return true;
      problem = "expected a tuple of keys";
      return false;
    case Check::same: {
      const int32_t other = small_number(expected);
      if (other >= 0 && static_cast<size_t>(other) < place.size()) {
        node.other = place[static_cast<size_t>(other)];
        return true;
      }
      problem = "expected the index of an earlier node";
      return false;
    }
    case Check::range: {
      bool right = PyTuple_CheckExact(expected) && PyTuple_GET_SIZE(expected) == 3;
      for (Py_ssize_t i = 0; right && i < 3; ++i) {
        right = PyLong_CheckExact(PyTuple_GET_ITEM(expected, i)) &&
                (PyLong_AsLongLong(PyTuple_GET_ITEM(expected, i)) != -1 || !PyErr_Occurred());
      }
      PyErr_Clear();
      if (right && tensor_probe.inside != nullptr) return true;
      problem = "expected (low, high, except): ints of 64 bits";
      return false;
    }
    case Check::tensor: {
      if (tensor_probe.facts == nullptr) {
        problem = "tensors cannot be checked in this build";
        return false;
      }
      const Py_ssize_t size = PyTuple_CheckExact(expected) ? PyTuple_GET_SIZE(expected) : 0;
      if (size == 3 || size == 4) {
        PyObject* grad = PyTuple_GET_ITEM(expected, 2);
        const void* meta = tensor_probe.meta_address(PyTuple_GET_ITEM(expected, 0));
        node.number = static_cast<int64_t>(reinterpret_cast<intptr_t>(meta));
        node.requires_grad = PyTuple_GET_ITEM(expected, 1) == Py_True;
        node.has_grad = grad == Py_None ? -1 : grad == Py_True ? 1 : 0;
        if (size == 4) node.is_leaf = PyTuple_GET_ITEM(expected, 3) == Py_True ? 1 : 0;
        if (meta != nullptr && PyBool_Check(PyTuple_GET_ITEM(expected, 1)) && (grad == Py_None || PyBool_Check(grad))) {
          return true;
        }
      }
      problem = "expected (Meta, requires_grad: bool, has_grad: bool or None)";
      return false;
    }
    default: return true;
  }
}

}  // namespace twain
