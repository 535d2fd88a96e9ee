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

// What becomes of a Python int that the tensors' integer dtype doesn't hold: it is taken modulo 2^n by conversions,
// refused by arithmetic, infinite to comparisons, and rounded by functions that compute in floating point. Powers refuse
// negative exponents of integers besides.
enum class IntScalars : uint8_t { any, checked, compared, floating, power };

struct PyOp {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  Op op;
  Attrs* default_attrs;  // of a call without static arguments, owned
  bool has_default;      // bind has been asked for them
  bool multiple_results; // always a tuple
  int arity;             // -1: one list of tensors
  IntScalars int_scalars;
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

// The 0-d value of a Python scalar. False: `object` is none. An int of more than 64 bits leaves its sign in `huge`;
// where that is null, it throws CallbackFailed.
bool scalar_value(PyOp* op, PyObject* object, Value* value, int* huge = nullptr);

// Whether `number` is a value of `dtype`; true for dtypes that are not integers.
bool int_fits(DType dtype, int64_t number);

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
  // After the last `set`: refuses or replaces ints that don't fit the tensors they are combined with.
  void fit_ints(PyOp* op) {
    if (has_ints_ && op->int_scalars != IntScalars::any) fit(op);
  }

 private:
  void fit(PyOp* op);

  bool has_ints_ = false;
  uint32_t huge_position_ = 0;
  PyObject* huge_ = nullptr;  // the caller's int of more than 64 bits, borrowed; the last one
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
