// Making nodes, and what handles look like from the tape.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "plan/program.h"
#include "tensor/handle.h"

namespace twain {

// A function on the gradient of one output, shared with the object that can remove it.
struct Hook {
  int32_t references = 1;
  uint32_t output = 0;
  void* function = nullptr;  // owned; null: removed
};
void hook_release(Hook* hook);

struct Retainer {  // a handle that wants the gradient of one output in its .grad
  Handle* handle;
  uint32_t output;
};

struct NodeExtra {  // what few nodes have
  std::vector<Hook*> hooks;
  std::vector<Retainer> retainers;
  void* line = nullptr;  // where the user called the op, owned
};

uint16_t node_size_class(size_t edges, size_t saved);
Node* leaf_node_make(Handle* leaf);
NodeExtra& node_extra(Node* node);
Hook* node_add_hook(Node* node, uint32_t output, void* owned_function);

inline uint32_t output_count(const Node* node) { return node->program == nullptr ? 1 : node->program->output_count; }

// Makes the node of a call that has run and links its outputs to it. `inputs[i]` may be null.
void tape_record(Program* program, const Rule* rule, const Value* const* inputs, Value* outputs);

// The value saved in position `i`, with the tape link it had. Throws Error if it has been freed.
Value saved_value(Node* node, uint32_t i, bool with_link);
void drop_saved(Node* node);

// Values of handles, seen from the tape.
void handle_set_requires_grad(Handle* handle, bool flag);
bool handle_is_leaf(const Handle* handle);
void handle_retain_grad(Handle* handle);
// Gives the handle another value. A leaf that requires a gradient stays that leaf.
void handle_assign(Handle* handle, Value value);
void handle_clear(Handle* handle);  // before it dies

}  // namespace twain
