// Evaluation. Building is in build.cpp, explaining in explain.cpp.
#include "guards/guard_tree.h"

#include <bit>
#include <cstring>
#include <utility>

#include "guards/checks.h"
#include "guards/tensor_probe.h"

namespace twain {

TensorProbe tensor_probe;

namespace {

PyObject* new_reference(PyObject* borrowed) {
  Py_XINCREF(borrowed);
  return borrowed;
}

// A guard that cannot be evaluated is a guard that fails; only the wish to stop must not get lost.
void swallow_exception() {
  if (PyErr_Occurred() == nullptr) return;
  const bool interrupted = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0;
  PyErr_Clear();
  if (interrupted) PyErr_SetInterrupt();
}

// The entry of `key` at or after `position`, before `end`; -1 if it isn't there.
Py_ssize_t search(PyObject* dict, PyObject* key, Py_ssize_t position, Py_ssize_t end) {
  PyObject* found_key = nullptr;
  for (Py_ssize_t before = position; before < end && PyDict_Next(dict, &position, &found_key, nullptr);
       before = position) {
    if (found_key == key) return before;
  }
  return -1;
}

// Subclasses count as long as they don't change what obj[key] means.
template <typename Base>
bool subscripts_like(PyObject* object, const Base& base) {
  return Py_TYPE(object)->tp_as_mapping != nullptr &&
         Py_TYPE(object)->tp_as_mapping->mp_subscript == base.tp_as_mapping->mp_subscript;
}

bool has_version(const PyTypeObject* type) {
#if PY_VERSION_HEX < 0x030D0000
  if ((type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG) == 0) return false;
#endif
  return type->tp_version_tag != 0;
}

// Whether getattr(instance, name) begins with type and instance dict in the standard way.
bool looks_up_plainly(PyTypeObject* type) {
  if (type->tp_getattro == PyObject_GenericGetAttr || type == &PyModule_Type) return true;
  // A class with __getattr__ only: that one is asked last.
  static PyObject* const name = PyUnicode_InternFromString("__getattribute__");
  return _PyType_Lookup(type, name) == _PyType_Lookup(&PyBaseObject_Type, name);
}

bool bits_equal(double a, double b) { return std::bit_cast<int64_t>(a) == std::bit_cast<int64_t>(b); }

bool is_equal(Equality equality, int64_t number, PyObject* expected, PyObject* value) {
  if (value == expected) return true;
  if (Py_TYPE(value) != Py_TYPE(expected)) return false;
  // From here on both are exactly of one built-in type, so that comparing them runs no code of the user's.
  switch (equality) {
    case Equality::identity: return false;
    case Equality::integer: {
      int overflow = 0;
      const long long integer = PyLong_AsLongLongAndOverflow(value, &overflow);
      return overflow == 0 && integer == number;
    }
    case Equality::real: return std::bit_cast<int64_t>(PyFloat_AS_DOUBLE(value)) == number;
    case Equality::complex: {
      const Py_complex a = PyComplex_AsCComplex(value), b = PyComplex_AsCComplex(expected);
      return bits_equal(a.real, b.real) && bits_equal(a.imag, b.imag);
    }
    case Equality::text:
      return PyUnicode_GET_LENGTH(value) == PyUnicode_GET_LENGTH(expected) && PyUnicode_Compare(value, expected) == 0;
    case Equality::bytes:
      return PyBytes_GET_SIZE(value) == PyBytes_GET_SIZE(expected) &&
             std::memcmp(PyBytes_AS_STRING(value), PyBytes_AS_STRING(expected),
                         static_cast<size_t>(PyBytes_GET_SIZE(value))) == 0;
    case Equality::large_integer: return PyObject_RichCompareBool(value, expected, Py_EQ) == 1;
  }
  return false;
}

}  // namespace

Equality equality_of(PyObject* expected) {
  if (PyLong_CheckExact(expected)) {
    int overflow = 0;
    PyLong_AsLongLongAndOverflow(expected, &overflow);
    return overflow == 0 ? Equality::integer : Equality::large_integer;
  }
  if (PyFloat_CheckExact(expected)) return Equality::real;
  if (PyComplex_CheckExact(expected)) return Equality::complex;
  if (PyUnicode_CheckExact(expected)) return Equality::text;
  if (PyBytes_CheckExact(expected)) return Equality::bytes;
  return Equality::identity;
}

int64_t number_of(PyObject* expected) {
  int overflow = 0;
  if (PyLong_CheckExact(expected)) return PyLong_AsLongLongAndOverflow(expected, &overflow);
  if (PyFloat_CheckExact(expected)) return std::bit_cast<int64_t>(PyFloat_AS_DOUBLE(expected));
  return 0;
}

Py_ssize_t length_of(PyObject* value) {
  if (PyList_Check(value)) return PyList_GET_SIZE(value);
  if (PyTuple_Check(value)) return PyTuple_GET_SIZE(value);
  if (PyDict_Check(value)) return PyDict_GET_SIZE(value);
  if (PyUnicode_Check(value)) return PyUnicode_GET_LENGTH(value);
  if (PyBytes_Check(value)) return PyBytes_GET_SIZE(value);
  if (PyAnySet_Check(value)) return PySet_GET_SIZE(value);
  return -1;
}

bool has_keys(PyObject* dict, PyObject* expected) {
  if (!PyDict_Check(dict) || PyDict_GET_SIZE(dict) != PyTuple_GET_SIZE(expected)) return false;
  Py_ssize_t position = 0, i = 0;
  for (PyObject* key; PyDict_Next(dict, &position, &key, nullptr); ++i) {
    PyObject* wanted = PyTuple_GET_ITEM(expected, i);
    if (key != wanted && !is_equal(equality_of(wanted), number_of(wanted), wanted, key)) return false;
  }
  return true;
}

// A new reference, or null if there is no such thing; no exception is set.
inline PyObject* GuardTree::fetch(Node& node, const Call& call, PyObject* const* keyword_values,
                                  PyObject* const* values) {
  PyObject* parent = node.parent >= 0 ? values[node.parent] : nullptr;
  switch (node.fetch) {
    case Fetch::argument: return new_reference(call.arguments[node.position]);
    case Fetch::keyword: return new_reference(keyword_values[node.position]);
    case Fetch::constant: return new_reference(node.key.get());
    case Fetch::modes: {
      PyObject* word = PyLong_FromUnsignedLongLong(tensor_probe.modes());
      swallow_exception();
      return word;
    }
    case Fetch::attribute: return fetch_attribute(node, parent, values[node.holder]);
    case Fetch::item:
      if (!PyDict_Check(parent) || !subscripts_like(parent, PyDict_Type)) return nullptr;
      return new_reference(find(parent, node));
    case Fetch::index:
      if (PyList_Check(parent) && subscripts_like(parent, PyList_Type)) {
        return node.position < PyList_GET_SIZE(parent) ? new_reference(PyList_GET_ITEM(parent, node.position))
                                                       : nullptr;
      }
      if (PyTuple_Check(parent) && subscripts_like(parent, PyTuple_Type)) {
        return node.position < PyTuple_GET_SIZE(parent) ? new_reference(PyTuple_GET_ITEM(parent, node.position))
                                                        : nullptr;
      }
      return nullptr;
    case Fetch::cell: return PyCell_Check(parent) ? PyCell_Get(parent) : nullptr;
    case Fetch::type: return new_reference(reinterpret_cast<PyObject*>(Py_TYPE(parent)));
    case Fetch::length: {
      const Py_ssize_t length = length_of(parent);
      PyObject* number = length < 0 ? nullptr : PyLong_FromSsize_t(length);
      swallow_exception();
      return number;
    }
    case Fetch::value: return new_reference(parent);
    case Fetch::holder: return fetch_holder(node, parent);
  }
  return nullptr;
}

bool GuardTree::evaluate(const Call& call, PyObject** inputs, Failure* failure) {
  Failure ignored;
  std::vector<PyObject*> values = std::move(scratch_);
  values.resize(nodes_.size(), nullptr);  // all null already, unless a call inside this one has taken the vector
  const bool holds = attempt(call, values.data(), failure != nullptr ? *failure : ignored);
  for (size_t i = 0; holds && i < inputs_.size(); ++i) {
    inputs[i] = new_reference(values[static_cast<size_t>(inputs_[i])]);
  }
  for (PyObject*& value : values) Py_XDECREF(std::exchange(value, nullptr));
  scratch_ = std::move(values);
  return holds;
}

// Values are kept alive until the end, since a property met on the way may run anything.
bool GuardTree::attempt(const Call& call, PyObject** values, Failure& failure) {
  if (call.positional != argument_names_.size()) {
    failure = {Failure::wrong_count};
    return false;
  }
  constexpr size_t kFew = 16;
  PyObject* few[kFew];
  std::vector<PyObject*> many(keyword_names_.size() > kFew ? keyword_names_.size() : 0);
  PyObject** ordered = many.empty() ? few : many.data();
  if (!order_keywords(call, ordered)) {
    failure = {Failure::wrong_keywords};
    return false;
  }
  for (size_t i = 0, count = nodes_.size(); i < count; ++i) {
    Node& node = nodes_[i];
    PyObject* value = fetch(node, call, ordered, values);
    values[i] = value;
    bool holds;
    if (value == nullptr) {
      holds = node.check == Check::absent || node.fetch == Fetch::holder;
    } else {
      switch (node.check) {
        case Check::none: holds = true; break;
        case Check::absent: holds = false; break;
        case Check::identity: holds = value == node.expected.get(); break;
        case Check::type: holds = reinterpret_cast<PyObject*>(Py_TYPE(value)) == node.expected.get(); break;
        case Check::equal: holds = is_equal(node.equality, node.number, node.expected.get(), value); break;
        case Check::length: holds = length_of(value) == node.number; break;
        case Check::keys: holds = has_keys(value, node.expected.get()); break;
        case Check::same: holds = value == values[node.other]; break;
        case Check::range: {
          PyObject* const ends = node.expected.get();
          const auto end = [&](Py_ssize_t i) { return PyLong_AsLongLong(PyTuple_GET_ITEM(ends, i)); };
          holds = Py_TYPE(value) == tensor_probe.tensor_type && tensor_probe.inside(value, end(0), end(1), end(2));
          break;
        }
        case Check::tensor: {
          holds = Py_TYPE(value) == tensor_probe.tensor_type;
          if (!holds) break;
          const TensorFacts facts = tensor_probe.facts(value);
          holds = static_cast<int64_t>(reinterpret_cast<intptr_t>(facts.meta)) == node.number &&
                  facts.requires_grad == node.requires_grad &&
                  (node.has_grad < 0 || facts.has_grad == (node.has_grad != 0)) &&
                  (node.is_leaf < 0 || facts.is_leaf == (node.is_leaf != 0));
          break;
        }
      }
    }
    if (!holds) {
      failure = {Failure::wrong_value, static_cast<int32_t>(i)};
      return false;
    }
  }
  return !distinct_ || !find_aliased(values, failure);
}

bool GuardTree::order_keywords(const Call& call, PyObject** ordered) const {
  const size_t given = call.keywords == nullptr ? 0 : static_cast<size_t>(PyTuple_GET_SIZE(call.keywords));
  if (given != keyword_names_.size()) return false;
  for (size_t i = 0; i < given; ++i) {
    PyObject* const name = keyword_names_[i].get();
    size_t at = i;
    auto name_at = [&](size_t j) { return PyTuple_GET_ITEM(call.keywords, static_cast<Py_ssize_t>(j)); };
    if (name_at(at) != name) {
      for (at = 0; at < given && PyUnicode_Compare(name_at(at), name) != 0;) ++at;
      if (at == given) return false;
    }
    ordered[i] = call.arguments[call.positional + at];
  }
  return true;
}

PyObject* GuardTree::fetch_holder(const Node& node, PyObject* object) {
  TypeCache& cache = types_[static_cast<size_t>(node.holder)];
  PyTypeObject* type = Py_TYPE(object);
  if (cache.type != type || cache.version != type->tp_version_tag || !has_version(type)) {
    learn_type(cache, type, static_cast<int32_t>(&node - nodes_.data()));
  }
  if (!cache.has_plain_lookup) return nullptr;
  PyObject** dict = _PyObject_GetDictPtr(object);
  if (dict == nullptr || *dict == nullptr) swallow_exception();
  return dict == nullptr ? nullptr : new_reference(*dict);
}

// Finds out what the type says about the attributes below a holder; holds as long as the type's version does.
void GuardTree::learn_type(TypeCache& cache, PyTypeObject* type, int32_t holder) {
  cache.type = type;
  cache.has_plain_lookup = looks_up_plainly(type);
  for (size_t i = static_cast<size_t>(holder) + 1; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.fetch != Fetch::attribute || node.holder != holder) continue;
    PyObject* in_type = _PyType_Lookup(type, node.key.get());
    const bool is_descriptor = in_type != nullptr && Py_TYPE(in_type)->tp_descr_get != nullptr;
    const bool is_data_descriptor = is_descriptor && Py_TYPE(in_type)->tp_descr_set != nullptr;
    node.plain = cache.has_plain_lookup && !is_data_descriptor;
    node.only_instance = node.plain && in_type == nullptr && type->tp_getattro == PyObject_GenericGetAttr;
    node.class_value = Held(is_descriptor ? nullptr : in_type);
  }
  // The look-ups above have given the type a version, unless it has used up all of them.
  cache.version = has_version(type) ? type->tp_version_tag : 0;
}

// dict[key], borrowed, or null. An entry is mostly where it was last time, which is cheaper to see than to hash for.
PyObject* GuardTree::find(PyObject* dict, Node& node) {
  constexpr uint8_t kSearches = 8;  // a dict that changes all the time isn't searched again and again,
  constexpr Py_ssize_t kSearched = 1024;  // and a very large one never
  PyObject* const key = node.key.get();
  PyObject* found_key = nullptr;
  PyObject* value = nullptr;
  Py_ssize_t position = node.hint;
  if (PyDict_Next(dict, &position, &found_key, &value) && found_key == key) return value;
  value = PyDict_GetItemWithError(dict, key);
  if (value == nullptr) {
    swallow_exception();
    return nullptr;
  }
  if (node.searches < kSearches && PyDict_GET_SIZE(dict) <= kSearched) {
    ++node.searches;
    // Code often reads attributes in the order in which they were made.
    Py_ssize_t place = search(dict, key, beside_, PY_SSIZE_T_MAX);
    if (place < 0) place = search(dict, key, 0, beside_);
    if (place >= 0) {
      node.hint = static_cast<int32_t>(place);
      beside_ = place;
    }
  }
  return value;
}

PyObject* GuardTree::fetch_attribute(Node& node, PyObject* object, PyObject* dict) {
  if (node.plain) {
    PyObject* value = dict != nullptr ? find(dict, node) : nullptr;
    if (value == nullptr) value = node.class_value.get();
    if (value != nullptr || node.only_instance) return new_reference(value);
  }
  PyObject* value = PyObject_GetAttr(object, node.key.get());
  if (value == nullptr) swallow_exception();
  return value;
}

// Two inputs that were two tensors must not have become one: what is written to one would be missed in the other.
bool GuardTree::find_aliased(PyObject* const* values, Failure& failure) {
  const size_t slots = seen_.size();  // a power of two, at least twice the number of tensors
  if (slots != 0) std::memset(seen_.data(), 0, slots * sizeof seen_[0]);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    PyObject* const tensor = values[tensors_[i]];
    size_t slot = (reinterpret_cast<uintptr_t>(tensor) >> 4) * 0x9E3779B97F4A7C15u >> 32 & (slots - 1);
    for (; seen_[slot] != 0; slot = (slot + 1) & (slots - 1)) {
      const int32_t earlier = tensors_[static_cast<size_t>(seen_[slot] - 1)];
      if (values[earlier] == tensor) {
        failure = {Failure::aliased, tensors_[i], earlier};
        return true;
      }
    }
    seen_[slot] = static_cast<int32_t>(i) + 1;
  }
  return false;
}

int GuardTree::traverse(visitproc visit, void* arg) const {
  for (const Node& node : nodes_) {
    Py_VISIT(node.key.get());
    Py_VISIT(node.expected.get());
    Py_VISIT(node.class_value.get());
  }
  return 0;
}

void GuardTree::clear() {
  std::vector<Node> nodes = std::move(nodes_);
  nodes_.clear();
  inputs_.clear();
  tensors_.clear();
}

}  // namespace twain
