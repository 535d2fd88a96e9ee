#include "tape/node.h"

#include <algorithm>
#include <new>

#include "dispatch/error.h"
#include "dispatch/runtime.h"
#include "tensor/scalar.h"

namespace twain {
namespace {

// Nodes come in blocks of a multiple of 64 bytes; freed blocks wait in one list per size, bounded.
constexpr size_t kBlock = 64;
constexpr uint16_t kPooledClasses = 8;
constexpr int32_t kPoolBound = 65536;
struct FreeBlock {
  FreeBlock* next;
};
FreeBlock* free_blocks[kPooledClasses + 1] = {};
int32_t free_counts[kPooledClasses + 1] = {};

Node* node_make(uint16_t size_class, uint32_t edge_count, uint32_t saved_count) {
  void* memory;
  if (size_class <= kPooledClasses && free_blocks[size_class] != nullptr) [[likely]] {
    memory = free_blocks[size_class];
    free_blocks[size_class] = free_blocks[size_class]->next;
    --free_counts[size_class];
  } else {
    memory = ::operator new(sizeof(Node) + edge_count * sizeof(Edge) + saved_count * sizeof(Saved) + kBlock);
  }
  return new (memory) Node{1, 0, 0, edge_count, saved_count, size_class, false, nullptr, nullptr, nullptr, nullptr};
}

void node_free(Node* node) {
  const uint16_t size_class = node->size_class;
  if (size_class > kPooledClasses || free_counts[size_class] >= kPoolBound) {
    ::operator delete(node);
    return;
  }
  auto* block = reinterpret_cast<FreeBlock*>(node);
  block->next = free_blocks[size_class];
  free_blocks[size_class] = block;
  ++free_counts[size_class];
}

void extra_destroy(NodeExtra* extra) {
  for (Hook* hook : extra->hooks) hook_release(hook);
  if (extra->line != nullptr) runtime.release_object(extra->line);
  delete extra;
}

}  // namespace

// A chain of a million nodes must not overflow the stack: nodes without references are queued (linked through
// their `leaf` field), and freed one after the other. Freeing a hook may run Python, which may free more nodes.
void node_destroy(Node* node) {
  static Node* queue = nullptr;
  static bool draining = false;
  node->leaf = reinterpret_cast<Handle*>(queue);
  queue = node;
  if (draining) return;
  draining = true;
  while (queue != nullptr) {
    Node* dead = queue;
    queue = reinterpret_cast<Node*>(dead->leaf);
    drop_saved(dead);
    for (uint32_t i = 0; i < dead->edge_count; ++i)
      if (dead->edges()[i].node != nullptr) node_release(dead->edges()[i].node);
    if (dead->extra != nullptr) extra_destroy(dead->extra);
    if (dead->program != nullptr) program_release(dead->program);
    node_free(dead);
  }
  draining = false;
}

void drop_saved(Node* node) {
  Saved* saved = node->saved();
  for (uint32_t i = 0; i < node->saved_count; ++i)
    if (saved[i].storage != nullptr) storage_release(std::exchange(saved[i].storage, nullptr));
}

void hook_release(Hook* hook) {
  if (--hook->references != 0) return;
  if (hook->function != nullptr) runtime.release_object(hook->function);
  delete hook;
}

uint16_t node_size_class(size_t edges, size_t saved) {
  const size_t nbytes = sizeof(Node) + edges * sizeof(Edge) + saved * sizeof(Saved);
  return static_cast<uint16_t>(std::min<size_t>((nbytes + kBlock - 1) / kBlock, kPooledClasses + 1));
}

Node* leaf_node_make(Handle* leaf) {
  static const uint16_t size_class = node_size_class(0, 0);
  Node* node = node_make(size_class, 0, 0);
  node->leaf = leaf;
  return node;
}

NodeExtra& node_extra(Node* node) {
  if (node->extra == nullptr) node->extra = new NodeExtra();
  return *node->extra;
}

Hook* node_add_hook(Node* node, uint32_t output, void* owned_function) {
  auto* hook = new Hook{2, output, owned_function};  // one for the node, one for the caller
  node_extra(node).hooks.push_back(hook);
  return hook;
}

namespace {
// Borrowed memory may be changed by its owner, so the tape keeps a copy.
Saved save_copy(const Value& value) {
  Value copy = owned_copy(value);
  const Saved saved{std::exchange(copy.storage, nullptr), copy.data, value.trace};
  meta_release(copy.meta);
  return saved;
}
}  // namespace

void tape_record(Program* program, const Rule* rule, const Value* const* inputs, Value* outputs) {
  const uint32_t input_count = program->input_count, output_count = program->output_count;
  const auto saved_count = static_cast<uint32_t>(rule->saved.size());
  Node* node = node_make(rule->node_class, input_count, saved_count);
  program_retain(program);
  node->program = program;
  node->rule = rule;
  Edge* edges = node->edges();
  const int32_t* results = rule->results.data();
  for (uint32_t i = 0; i < input_count; ++i) {
    Node* source = inputs[i] != nullptr && results[i] != -1 ? inputs[i]->node : nullptr;
    edges[i].node = source;
    if (source == nullptr) continue;
    edges[i].output = inputs[i]->output;
    node_retain(source);
  }
  Saved* saved = node->saved();
  const uint32_t* indices = rule->saved.data();
  for (uint32_t k = 0; k < saved_count; ++k) {
    const Value* value = indices[k] < input_count ? inputs[indices[k]] : &outputs[indices[k] - input_count];
    if (value == nullptr || value->storage == nullptr) {
      saved[k] = {};
    } else if (value->storage->borrowed) [[unlikely]] {
      try {
        saved[k] = save_copy(*value);
      } catch (...) {
        node->saved_count = k;
        node_release(node);
        throw;
      }
    } else {
      storage_retain(value->storage);
      saved[k] = {value->storage, value->data, value->trace};
    }
  }
  node->references = 0;
  for (uint32_t i = 0; i < output_count; ++i) {
    if (!outputs[i].meta->differentiable) continue;
    ++node->references;
    outputs[i].node = node;
    outputs[i].output = i;
  }
  if (node->references == 0) {
    node->references = 1;
    node_release(node);
  }
}

Value saved_value(Node* node, uint32_t i, bool with_link) {
  const Saved& saved = node->saved()[i];
  if (saved.storage == nullptr) return {};
  const uint32_t index = node->rule->saved[i];
  const uint32_t input_count = node->program->input_count;
  Meta* meta = index < input_count ? node->program->inputs[index] : node->program->outputs[index - input_count].meta;
  storage_retain(saved.storage);
  meta_retain(meta);
  Value value(saved.storage, meta, saved.data);
  value.trace = saved.trace;
  if (!with_link) return value;
  if (index < input_count) {
    value.node = node->edges()[index].node;
    value.output = node->edges()[index].output;
  } else if (meta->differentiable) {
    value.node = node;
    value.output = index - input_count;
  }
  if (value.node != nullptr) node_retain(value.node);
  return value;
}

bool handle_is_leaf(const Handle* handle) { return handle->value.node == nullptr || handle->value.node->leaf == handle; }

void handle_set_requires_grad(Handle* handle, bool flag) {
  Value& value = handle->value;
  if (flag == (value.node != nullptr)) return;
  if (flag) {
    if (!value.meta->differentiable)
      throw Error(ErrorKind::type, std::string("[requires_grad] expected a floating or complex dtype, got ") +
                                       info(value.meta->dtype).name + ": integers and booleans have no gradient");
    value.node = leaf_node_make(handle);
    value.output = 0;
    return;
  }
  if (!handle_is_leaf(handle))
    throw Error(ErrorKind::runtime,
                "[requires_grad] expected a leaf, got a tensor computed from others; use x.detach() for its value "
                "without its history");
  value.node->leaf = nullptr;
  value.drop_node();
}

namespace {
void forget_retainer(Handle* handle) {
  Node* node = handle->value.node;
  if (node != nullptr && node->extra != nullptr)
    std::erase_if(node->extra->retainers, [&](const Retainer& retainer) { return retainer.handle == handle; });
}
}  // namespace

void handle_retain_grad(Handle* handle) {
  if (handle->value.node == nullptr)
    throw Error(ErrorKind::runtime, "[retain_grad] expected a tensor that requires a gradient");
  if (handle_is_leaf(handle) || handle->retains_grad) return;
  node_extra(handle->value.node).retainers.push_back({handle, handle->value.output});
  handle->retains_grad = true;
}

void handle_assign(Handle* handle, Value value) {
  Value& old = handle->value;
  if (old.node != nullptr && old.node->leaf == handle) {
    value.drop_node();
    value.node = std::exchange(old.node, nullptr);
    value.output = 0;
  } else if (handle->retains_grad) {
    forget_retainer(handle);
    handle->retains_grad = value.node != nullptr;
    if (value.node != nullptr) node_extra(value.node).retainers.push_back({handle, value.output});
  }
  old.swap(value);
}

void handle_clear(Handle* handle) {
  Node* node = handle->value.node;
  if (node != nullptr) {
    if (node->leaf == handle) node->leaf = nullptr;
    if (handle->retains_grad) forget_retainer(handle);
  }
  handle->value.reset();
  if (handle->grad != nullptr) runtime.release_handle(std::exchange(handle->grad, nullptr));
}

}  // namespace twain
