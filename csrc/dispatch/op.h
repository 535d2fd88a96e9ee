// What the core knows of an operation: an identity. Meaning lives in the layer above, behind `object`.
#pragma once
#include <cstdint>

namespace twain {

struct Op {
  uint32_t id = 0;         // reused after the op is gone and its programs are forgotten
  bool in_table = false;   // the table has, or had, programs of it
  uint8_t autocast = 0;    // while autocasting (Modes) its operands are taken in: 1 the low dtype, 2 float32
  const char* name = "";
  void* object = nullptr;  // the binding's object that this op is part of
};

// Interned static arguments of a call. Null stands for none.
struct Attrs {
  uint32_t id = 0;
  int32_t references = 0;
  void* object = nullptr;  // owned
};

void op_register(Op* op);
void op_unregister(Op* op);  // its programs are forgotten soon, and its number used again only then
void op_retain(Op* op);
void op_release(Op* op);

Attrs* attrs_make(void* owned_object);  // one reference
void attrs_destroy(Attrs* attrs);
inline void attrs_retain(Attrs* attrs) {
  if (attrs != nullptr) ++attrs->references;
}
inline void attrs_release(Attrs* attrs) {
  if (attrs != nullptr && --attrs->references == 0) attrs_destroy(attrs);
}
inline uint32_t attrs_id(const Attrs* attrs) { return attrs == nullptr ? 0 : attrs->id; }

}  // namespace twain
