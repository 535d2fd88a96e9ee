// The program that decides whether a compiled function's plan is still valid for a call: a list of nodes, each of which
// fetches one value, from an earlier node's, and checks it.
//
// A tree rather than a list of access paths: what `self.encoder` is gets looked up once for all that lies below it.
// Evaluating runs no Python code, except for attributes that a type computes (properties, __getattr__). All functions
// want the interpreter lock.
#pragma once

#include <Python.h>

#include <cstdint>
#include <string>
#include <vector>

namespace twain {

enum class Fetch : uint8_t {  // in the order of kFetchNames
  argument,                   // of the call, by position
  keyword,                    // of the call, by name
  constant,                   // an object held by the tree
  modes,                      // the thread's switches (Mode), as an int
  attribute,                  // of the parent's value, by name
  item,                       // of a dict, by key
  index,                      // of a list or tuple, by position
  cell,                       // what a closure cell holds
  type,                       // of the parent's value
  length,                     // of the parent's value, as an int
  value,                      // the parent's value again, for one more check
  holder,                     // inner: the instance __dict__ of the parent's value, shared by all attributes of it
};

enum class Check : uint8_t {  // in the order of kCheckNames
  none,                       // it exists
  absent,                     // it does not
  identity,                   // it is this object
  type,                       // it is exactly of this type
  equal,                      // same type and value: bool, int, float (by bits), complex (by bits), str, bytes, None
  length,                     // it is a list, tuple, dict, set, str or bytes of this length
  keys,                       // it is a dict with exactly these keys in this order
  tensor,                     // it is a Tensor with this Meta, this requires_grad, and .grad there or not
  same,                       // it is the object that another node fetched
  range,                      // it is an integer Tensor with all elements in [low, high), or equal to a third number
};

// How `equal` compares.
enum class Equality : uint8_t { identity, integer, large_integer, real, complex, text, bytes };

// The names of Fetch and Check in Python, in order.
inline constexpr const char* kFetchNames[] = {"argument", "keyword", "constant", "modes",  "attribute", "item",
                                              "index",    "cell",    "type",     "length", "value"};
inline constexpr const char* kCheckNames[] = {"none",   "absent", "identity", "type", "equal",
                                              "length", "keys",   "tensor",   "same", "range"};

// An object held; movable.
class Held {
 public:
  Held() = default;
  explicit Held(PyObject* borrowed) : object_(borrowed) { Py_XINCREF(object_); }
  Held(Held&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
  Held& operator=(Held&& other) noexcept {
    PyObject* old = object_;
    object_ = other.object_;
    other.object_ = nullptr;
    Py_XDECREF(old);
    return *this;
  }
  ~Held() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }

 private:
  PyObject* object_ = nullptr;
};

class GuardTree {
 public:
  GuardTree() = default;
  GuardTree(const GuardTree&) = delete;
  GuardTree& operator=(const GuardTree&) = delete;

  // As in the vectorcall protocol: the values of keywords follow the positional ones; `keywords` may be null.
  struct Call {
    PyObject* const* arguments;
    size_t positional;
    PyObject* keywords;
  };
  // What is wrong with a call, for explain().
  struct Failure {
    enum Kind : uint8_t { nothing, wrong_count, wrong_keywords, wrong_value, aliased } kind = nothing;
    int32_t node = -1;
    int32_t other = -1;  // aliased: the earlier node
  };

  // Evaluates the guards for a call. On success the wanted values lie in inputs[0, input_count()), one new reference
  // each. On failure nothing does, no exception is set, and *failure (may be null) says why.
  bool evaluate(const Call& call, PyObject** inputs, Failure* failure);

  size_t input_count() const { return inputs_.size(); }

  // Why a call fails, as a sentence that names the path as the user would write it; may run the repr of the values.
  std::string explain(const Call& call);

  // Builds the program. Python's view of it is described in bind/guards.cpp. False with an exception set if it is
  // wrong.
  bool build(PyObject* nodes, PyObject* argument_names, PyObject* keyword_names, bool distinct);

  int traverse(visitproc visit, void* arg) const;
  void clear();

 private:
  // One cache line: evaluating is mostly waiting for these.
  struct alignas(64) Node {
    Fetch fetch;
    Check check;
    Equality equality = Equality::identity;
    bool wanted = false;
    bool plain = false;          // attribute: nothing in the type comes before the instance dict,
    bool only_instance = false;  // and nothing in the type comes after it
    bool requires_grad = false;  // tensor
    int8_t has_grad = -1;        // tensor; -1: either
    int8_t is_leaf = -1;         // tensor; -1: either
    uint8_t searches = 0;        // item, attribute: how often `hint` was searched for
    int32_t parent = -1;
    int32_t holder = -1;   // attribute: its holder node; holder: index of its cache
    int32_t other = -1;    // same: the other node
    int32_t position = 0;  // argument, keyword, index
    int32_t hint = 0;      // item, attribute: where in the dict it was last
    int64_t number = 0;    // length; what an int or the bits of a float must equal; tensor: address of the Meta
    Held key;
    Held expected;
    Held class_value;  // attribute: what the type has, for instances that have none of their own
  };
  static_assert(sizeof(void*) != 8 || sizeof(Node) == 64);
  // What was last found out about the type of a holder node's parent.
  struct TypeCache {
    PyTypeObject* type = nullptr;  // only compared
    unsigned int version = 0;
    bool has_plain_lookup = false;
  };

  bool add_node(PyObject* spec, std::vector<int32_t>& place, std::string& problem);
  bool set_fetch(Node& node, PyObject* key, std::string& problem) const;
  bool set_check(Node& node, PyObject* expected, const std::vector<int32_t>& place, std::string& problem) const;
  int32_t holder_of(int32_t parent);

  bool attempt(const Call& call, PyObject** values, Failure& failure);
  bool order_keywords(const Call& call, PyObject** ordered) const;
  PyObject* fetch(Node& node, const Call& call, PyObject* const* keyword_values, PyObject* const* values);
  PyObject* fetch_attribute(Node& node, PyObject* object, PyObject* dict);
  PyObject* find(PyObject* dict, Node& node);
  PyObject* fetch_holder(const Node& node, PyObject* object);
  void learn_type(TypeCache& cache, PyTypeObject* type, int32_t holder);
  bool find_aliased(PyObject* const* values, Failure& failure);

  std::string path(int32_t node) const;
  std::string describe(const Failure& failure, const Call& call, PyObject* const* values) const;

  std::vector<Node> nodes_;
  std::vector<Held> texts_;  // of each node: how the user would write it, when not derived from the parent
  std::vector<TypeCache> types_;
  std::vector<int32_t> inputs_;   // nodes whose values are wanted
  std::vector<int32_t> tensors_;  // those of them that are tensors
  std::vector<Held> argument_names_;
  std::vector<Held> keyword_names_;  // interned
  bool distinct_ = true;
  std::vector<PyObject*> scratch_;  // values of an evaluation, all null; moved out while one is running
  Py_ssize_t beside_ = 0;           // where in its dict an entry was last searched and found
  std::vector<int32_t> seen_;       // hash table of find_aliased: index into tensors_, plus 1
};

}  // namespace twain
