#include "dispatch/op.h"

#include <vector>

#include "dispatch/runtime.h"
#include "dispatch/table.h"

namespace twain {

Runtime runtime = {};

namespace {
// Hands out small numbers, and takes them back. Never destroyed: ops live until the very end.
struct Numbers {
  std::vector<uint32_t> free;
  uint32_t next = 1;
  uint32_t take() {
    if (free.empty()) return next++;
    const uint32_t number = free.back();
    free.pop_back();
    return number;
  }
};
Numbers& op_numbers() {
  static auto* numbers = new Numbers();
  return *numbers;
}
Numbers& attrs_numbers() {
  static auto* numbers = new Numbers();
  return *numbers;
}
}  // namespace

void op_register(Op* op) { op->id = op_numbers().take(); }

void op_unregister(Op* op) {
  if (op->in_table)
    table_forget_later(op->id);
  else
    op_number_free(op->id);
  op->id = 0;
}

void op_number_free(uint32_t id) { op_numbers().free.push_back(id); }

void op_retain(Op* op) { runtime.retain_object(op->object); }
void op_release(Op* op) { runtime.release_object(op->object); }

Attrs* attrs_make(void* owned_object) { return new Attrs{attrs_numbers().take(), 1, owned_object}; }

void attrs_destroy(Attrs* attrs) {
  attrs_numbers().free.push_back(attrs->id);
  void* object = attrs->object;
  delete attrs;
  runtime.release_attrs(object);
}

}  // namespace twain
