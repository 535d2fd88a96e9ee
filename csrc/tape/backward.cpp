#include "tape/backward.h"

#include <memory>
#include <string>
#include <unordered_map>

#include "dispatch/dispatch.h"
#include "dispatch/error.h"
#include "tensor/scalar.h"

namespace twain {
namespace {

Op* accumulate_op = nullptr;
Attrs* accumulate_attrs = nullptr;

struct State {  // of one node in one pass
  Node* node;
  int32_t waiting;     // gradients still to come, one per edge that leads here
  uint32_t first;      // of its outputs' gradients
  bool needed = true;  // some wanted input lies behind it
  bool captured = false;
};

struct Capture {
  uint32_t state;
  uint32_t output;
  uint32_t position;
};

// A view of a value that costs no reference counts; the owner outlives it.
struct Borrowed {
  union {
    Value value;
  };
  Borrowed() {}
  ~Borrowed() {}
};

// The first pass keeps its bookkeeping in the nodes. One that starts while another is active (in a hook, or in another
// thread while kernels run without the lock) keeps it in a map.
bool nodes_in_use = false;
uint32_t last_pass = 0;

class Pass {
 public:
  explicit Pass(const BackwardOptions& options) : options_(options), in_nodes_(!nodes_in_use), number_(0) {
    if (in_nodes_) {
      nodes_in_use = true;
      if (++last_pass == 0) ++last_pass;
      number_ = last_pass;
    }
  }
  ~Pass() {
    if (in_nodes_) nodes_in_use = false;
    for (Node* root : roots_) node_release(root);
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  void discover(const std::vector<Value>& roots);
  void seed(const std::vector<Value>& roots, std::vector<Value>& seeds);
  void want(const std::vector<Value>& inputs);
  void run();
  std::vector<Value> captured;

 private:
  struct Found {
    uint32_t state;
    bool added;
  };
  Found find_or_add(Node* node) {
    if (in_nodes_) {
      if (node->pass == number_) return {node->state, false};
      node->pass = number_;
      node->state = static_cast<uint32_t>(states_.size());
    } else {
      const auto [entry, added] = map_.try_emplace(node, static_cast<uint32_t>(states_.size()));
      if (!added) return {entry->second, false};
    }
    states_.push_back({node, 0, gradient_count_});
    gradient_count_ += output_count(node);
    return {static_cast<uint32_t>(states_.size() - 1), true};
  }
  State& state_of(Node* node) { return states_[in_nodes_ ? node->state : map_.find(node)->second]; }

  void run_hooks(Node* node, Value* grads);
  void retain_gradients(Node* node, Value* grads);
  void accumulate(Handle* handle, Value&& grad);
  void apply_rule(Node* node, Value* grads);
  void propagate(Node* node, Value* grads, Value* results);
  void add_to(Value& sum, Value&& gradient);
  Value constant(Meta* meta, double number);

  const BackwardOptions options_;
  const bool in_nodes_;
  uint32_t number_;
  bool to_leaves_ = true;
  std::vector<Node*> roots_;
  std::vector<State> states_;
  std::vector<Value> gradients_;
  std::vector<uint32_t> ready_;
  std::vector<Capture> captures_;
  std::unordered_map<Node*, uint32_t> map_;
  uint32_t gradient_count_ = 0;
};

void Pass::discover(const std::vector<Value>& roots) {
  for (const Value& root : roots) {
    node_retain(root.node);
    roots_.push_back(root.node);
    if (find_or_add(root.node).added) ready_.push_back(static_cast<uint32_t>(states_.size() - 1));
  }
  while (!ready_.empty()) {
    Node* node = states_[ready_.back()].node;
    ready_.pop_back();
    const Edge* edges = node->edges();
    for (uint32_t i = 0; i < node->edge_count; ++i) {
      if (edges[i].node == nullptr) continue;
      const Found found = find_or_add(edges[i].node);
      ++states_[found.state].waiting;
      if (found.added) ready_.push_back(found.state);
    }
  }
  gradients_.resize(gradient_count_);
}

Value Pass::constant(Meta* meta, double number) {
  if (modes().recorder != nullptr) return runtime.recorded_fill(meta, number);
  return filled(meta, number);
}

void Pass::seed(const std::vector<Value>& roots, std::vector<Value>& seeds) {
  for (size_t i = 0; i < roots.size(); ++i) {
    Value gradient = i < seeds.size() ? std::move(seeds[i]) : Value();
    if (!gradient) {
      if (roots[i].meta->size != 1)
        throw Error(ErrorKind::runtime, "[backward] expected a tensor of one element, got one of " +
                                            std::to_string(roots[i].meta->size) +
                                            ": sum it or average it first, or pass gradient=");
      gradient = constant(roots[i].meta, 1.0);
    } else if (!same_shape(gradient.meta, roots[i].meta) || gradient.meta->dtype != roots[i].meta->dtype) {
      throw Error(ErrorKind::value, std::string("[backward] expected a gradient of the tensor's shape and dtype (") +
                                        info(roots[i].meta->dtype).name + "), got another (" +
                                        info(gradient.meta->dtype).name + ")");
    }
    if (!options_.create_graph) gradient.drop_node();
    add_to(gradients_[state_of(roots[i].node).first + roots[i].output], std::move(gradient));
  }
  for (uint32_t i = 0; i < states_.size(); ++i)
    if (states_[i].waiting == 0) ready_.push_back(i);
}

// Marks the nodes that lie between the roots and what is wanted: only those will be computed.
void Pass::want(const std::vector<Value>& inputs) {
  to_leaves_ = false;
  captured.resize(inputs.size());
  for (State& state : states_) state.needed = false;
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    Node* node = inputs[i].node;
    const bool known = in_nodes_ ? node->pass == number_ : map_.count(node) != 0;
    if (!known) continue;
    State& state = state_of(node);
    captures_.push_back({static_cast<uint32_t>(&state - states_.data()), inputs[i].output, i});
    state.captured = true;
  }
  // A dry run gives an order in which every node comes before those its edges lead to; walk it backwards.
  std::vector<int32_t> waiting(states_.size());
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    waiting[i] = states_[i].waiting;
    if (waiting[i] == 0) order.push_back(i);
  }
  for (size_t next = 0; next < order.size(); ++next) {
    Node* node = states_[order[next]].node;
    for (uint32_t i = 0; i < node->edge_count; ++i) {
      if (node->edges()[i].node == nullptr) continue;
      const auto child = static_cast<uint32_t>(&state_of(node->edges()[i].node) - states_.data());
      if (--waiting[child] == 0) order.push_back(child);
    }
  }
  for (size_t k = order.size(); k-- > 0;) {
    State& state = states_[order[k]];
    for (uint32_t i = 0; i < state.node->edge_count && !state.needed; ++i) {
      Node* child = state.node->edges()[i].node;
      if (child != nullptr) state.needed = state_of(child).needed || state_of(child).captured;
    }
  }
}

void Pass::add_to(Value& sum, Value&& gradient) {
  if (!sum) {
    sum = std::move(gradient);
    return;
  }
  if (accumulate_op == nullptr) throw Error(ErrorKind::runtime, "[backward] no op to add gradients is installed");
  const Value* inputs[2] = {&sum, &gradient};
  Call call;
  call.op = accumulate_op;
  call.attrs = accumulate_attrs;
  call.inputs = inputs;
  call.count = 2;
  call.donated = options_.create_graph ? 0 : 3;
  call.record = options_.create_graph;
  Values outputs;
  dispatch(call, outputs);
  sum = std::move(outputs[0]);
}

void Pass::run_hooks(Node* node, Value* grads) {
  const std::vector<Hook*> hooks = node->extra->hooks;  // a hook may add or remove hooks
  for (Hook* hook : hooks) ++hook->references;
  struct Release {
    const std::vector<Hook*>& hooks;
    ~Release() {
      for (Hook* hook : hooks) hook_release(hook);
    }
  } release{hooks};
  bool stale = false;
  for (Hook* hook : hooks) {
    if (hook->function == nullptr)
      stale = true;
    else if (grads[hook->output])
      runtime.run_hook(hook->function, grads[hook->output]);
  }
  if (!stale) return;
  std::erase_if(node->extra->hooks, [](Hook* hook) {
    if (hook->function != nullptr) return false;
    hook_release(hook);
    return true;
  });
}

// Adds a gradient to the handle's .grad.
void Pass::accumulate(Handle* handle, Value&& grad) {
  struct Hold {  // adding may let other threads run, and one of them may drop the handle
    explicit Hold(Handle* held) : handle(held) { runtime.retain_handle(handle); }
    ~Hold() { runtime.release_handle(handle); }
    Handle* handle;
  };
  Hold hold(handle);
  if (handle->grad == nullptr) {
    handle->grad = runtime.make_handle(std::move(grad));
    return;
  }
  Handle* total = handle->grad;
  Hold hold_total(total);
  if (accumulate_op == nullptr) throw Error(ErrorKind::runtime, "[backward] no op to add gradients is installed");
  const Value detached = options_.create_graph || total->value.node == nullptr ? Value() : total->value.detached();
  // The total's own memory is added to where it has no other holder.
  const Value* inputs[2] = {detached ? &detached : &total->value, &grad};
  Handle* handles[2] = {total, nullptr};
  Call call;
  call.op = accumulate_op;
  call.attrs = accumulate_attrs;
  call.inputs = inputs;
  call.handles = handles;
  call.count = 2;
  call.donated = options_.create_graph ? 0 : 3;
  call.record = options_.create_graph;
  Values outputs;
  dispatch(call, outputs);
  handle_assign(total, std::move(outputs[0]));
}

void Pass::retain_gradients(Node* node, Value* grads) {
  const std::vector<Retainer> retainers = node->extra->retainers;
  for (const Retainer& retainer : retainers)
    if (grads[retainer.output]) accumulate(retainer.handle, Value(grads[retainer.output]));
}

// Adds the results of a node's rule to the gradients of its inputs.
void Pass::propagate(Node* node, Value* grads, Value* results) {
  const Rule* rule = node->rule;
  const Edge* edges = node->edges();
  for (uint32_t i = 0; i < node->edge_count; ++i) {
    if (edges[i].node == nullptr) continue;
    State& child = state_of(edges[i].node);
    const int32_t source = rule->results[i];
    Value& gradient = source >= 0 ? results[source] : grads[-2 - source];
    if (gradient && (child.needed || child.captured)) {
      bool shared = false;
      for (uint32_t j = i + 1; j < node->edge_count && !shared; ++j) shared = edges[j].node != nullptr && rule->results[j] == source;
      add_to(gradients_[child.first + edges[i].output], shared ? Value(gradient) : std::move(gradient));
    }
  }
}

void Pass::apply_rule(Node* node, Value* grads) {
  const Rule* rule = node->rule;
  const uint32_t output_count = node->program->output_count, saved_count = node->saved_count;
  if (node->freed && saved_count != 0)
    throw Error(ErrorKind::runtime,
                "[backward] this part of the graph has been used and freed by an earlier backward pass; pass "
                "retain_graph=True to that one to go through it again");
  bool any = false;
  for (uint32_t j = 0; j < output_count; ++j) any = any || grads[j];
  if (!any) return;
  for (uint32_t j = 0; j < output_count; ++j)
    if (!grads[j] && node->program->outputs[j].meta->differentiable) grads[j] = constant(node->program->outputs[j].meta, 0.0);

  Values results;
  if (rule->op != nullptr) {
    const uint32_t count = output_count + saved_count;
    const bool keep = options_.retain_graph || options_.create_graph;
    Values saved(saved_count);
    SmallArray<const Value*, 8> inputs(count);
    for (uint32_t j = 0; j < output_count; ++j) inputs[j] = grads[j] ? &grads[j] : nullptr;
    for (uint32_t k = 0; k < saved_count; ++k) {
      saved[k] = saved_value(node, k, options_.create_graph);
      inputs[output_count + k] = saved[k] ? &saved[k] : nullptr;
    }
    if (!keep) {
      drop_saved(node);
      node->freed = true;
    }
    Call call;
    call.op = rule->op;
    call.attrs = rule->attrs;
    call.inputs = inputs.data();
    call.count = count;
    call.record = options_.create_graph;
    call.line = node->extra != nullptr ? node->extra->line : nullptr;
    if (!keep) {
      // Gradients that are passed on unchanged are still read; the others, and what was saved, may be overwritten.
      call.donated = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
      for (int32_t source : rule->results)
        if (source <= -2 && -2 - source < 64) call.donated &= ~(uint64_t{1} << (-2 - source));
    }
    dispatch(call, results);
    if (results.size() < rule->op_outputs)
      throw Error(ErrorKind::runtime, std::string("[backward] the rule of ") + node->program->name + " gave too few gradients");
  } else if (!options_.retain_graph && !options_.create_graph && saved_count != 0) {
    drop_saved(node);
    node->freed = true;
  }
  propagate(node, grads, results.data());
}

void Pass::run() {
  while (!ready_.empty()) {
    const uint32_t index = ready_.back();
    ready_.pop_back();
    Node* node = states_[index].node;
    Value* grads = &gradients_[states_[index].first];
    if (node->extra != nullptr) [[unlikely]] {
      if (!node->extra->hooks.empty()) run_hooks(node, grads);
      if (!node->extra->retainers.empty() && to_leaves_) retain_gradients(node, grads);
    }
    if (states_[index].captured)
      for (const Capture& capture : captures_)
        if (capture.state == index) captured[capture.position] = grads[capture.output];
    if (node->is_leaf()) {
      if (to_leaves_ && node->leaf != nullptr && grads[0]) accumulate(node->leaf, std::move(grads[0]));
    } else if (states_[index].needed) {
      apply_rule(node, grads);
    }
    for (uint32_t j = 0; j < output_count(node); ++j) grads[j].reset();
    const Edge* edges = node->edges();
    for (uint32_t i = 0; i < node->edge_count; ++i)
      if (edges[i].node != nullptr) {
        State& child = state_of(edges[i].node);
        if (--child.waiting == 0) ready_.push_back(static_cast<uint32_t>(&child - states_.data()));
      }
  }
}

void check_roots(const std::vector<Value>& roots) {
  for (const Value& root : roots)
    if (root.node == nullptr)
      throw Error(ErrorKind::runtime,
                  "[backward] expected a tensor computed from one with requires_grad=True, got one that needs no gradient");
}

}  // namespace

void set_accumulate(Op* op, Attrs* attrs) {
  accumulate_op = op;
  accumulate_attrs = attrs;
}

void backward(const std::vector<Value>& roots, std::vector<Value> gradients, const BackwardOptions& options) {
  check_roots(roots);
  GradScope scope(options.create_graph);
  Pass pass(options);
  pass.discover(roots);
  pass.seed(roots, gradients);
  pass.run();
}

std::vector<Value> gradients(const std::vector<Value>& roots, std::vector<Value> root_gradients,
                             const std::vector<Value>& inputs, const BackwardOptions& options) {
  check_roots(roots);
  GradScope scope(options.create_graph);
  Pass pass(options);
  pass.discover(roots);
  pass.want(inputs);
  pass.seed(roots, root_gradients);
  pass.run();
  if (!options.allow_unused)
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!pass.captured[i])
        throw Error(ErrorKind::runtime, "[gradients] input " + std::to_string(i) +
                                            " does not contribute to the outputs; pass allow_unused=True to get None for it");
  return std::move(pass.captured);
}

}  // namespace twain
