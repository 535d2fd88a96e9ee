// _core.Op: the callable that users see, and how its arguments become values and interned attrs.
#pragma once
#include "bind/python.h"

namespace twain {

inline constexpr int kRememberedStatics = 6;
inline constexpr int kRememberedCalls = 4;

// A call whose static arguments were these very objects. They are immutable, so the same objects mean the same attrs.
struct RememberedCall {
  int count = 0;  // 0: empty
  PyObject* names[kRememberedStatics];   // owned; null: positional
  PyObject* values[kRememberedStatics];  // owned
  Attrs* attrs;                          // owned
};

struct PyOp {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  Op op;
  Attrs* default_attrs;  // of a call without static arguments, owned
  bool has_default;      // bind has been asked for them
  bool multiple_results; // always a tuple
  int arity;             // -1: one list of tensors
  PyObject* name;
  PyObject* record;
  PyObject* argument_names;  // tuple of str, or null
  PyObject* attrs_by_key;    // dict: static arguments -> pointer to owned Attrs
  PyObject* dict;
  PyObject* weak_references;
  int next_remembered;
  RememberedCall remembered[kRememberedCalls];
};
extern PyTypeObject op_type;

inline bool is_op(PyObject* object) { return Py_TYPE(object) == &op_type; }
inline PyOp* as_op(PyObject* object) { return reinterpret_cast<PyOp*>(object); }
inline PyOp* op_object(Op* op) { return static_cast<PyOp*>(op->object); }

// Static arguments, in the order given: positional ones have no name.
struct Statics {
  SmallArray<PyObject*, 8> names;
  SmallArray<PyObject*, 8> values;
  int count = 0;
};

// The attrs of a call; a new reference (null: none). Throws CallbackFailed.
Attrs* resolve_attrs(PyOp* op, const Statics& statics);
Attrs* default_attrs(PyOp* op);               // borrowed
Attrs* intern_attrs(PyObject* object);        // new reference; null for None
void forget_statics(PyOp* op);
inline PyObject* attrs_object(const Attrs* attrs) {  // borrowed
  return attrs == nullptr ? Py_None : PyTuple_GET_ITEM(static_cast<PyObject*>(attrs->object), 0);
}
void release_attrs_object(void* object);  // for Runtime

// The 0-d value of a Python scalar. False: `object` is none. Throws CallbackFailed for an int of more than 64 bits.
bool scalar_value(PyOp* op, PyObject* object, Value* value);

// The values of a call, and what keeps them alive.
class Arguments {
 public:
  explicit Arguments(uint32_t count) : inputs_(count), handles_(count), scalars_(count), kept_(count) {}
  ~Arguments() {
    for (PyObject* object : kept_) Py_XDECREF(object);
  }
  enum class Outcome { ok, symbol, unsupported };
  // `position` is what the user would count; `operand` says that NotImplemented is an answer.
  Outcome set(PyOp* op, uint32_t position, PyObject* object, bool operand);
  const Value* const* inputs() { return inputs_.data(); }
  Handle* const* handles() { return handles_.data(); }
  uint32_t count() const { return static_cast<uint32_t>(inputs_.size()); }

 private:
  SmallArray<const Value*, 4> inputs_;
  SmallArray<Handle*, 4> handles_;
  SmallArray<Value, 4> scalars_;
  SmallArray<PyObject*, 4> kept_;  // made by convert, owned
};

// `checked` for calls of an op's rules: of a mistake of the user's, the frames inside twain are hidden, so that the
// traceback ends at the user's line. TWAIN_VERIFY=1 shows them.
Ref checked_rule(PyObject* result);

PyObject* results_object(PyOp* op, Values& outputs);
PyObject* run_op(PyOp* op, Attrs* attrs, Arguments& arguments);
PyObject* call_trace(PyOp* op, Attrs* attrs, PyObject* args_tuple);  // a call with a traced value in it

}  // namespace twain
