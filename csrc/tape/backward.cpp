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

// Results smaller than this are not worth the search for memory to take over.
constexpr int64_t kWorthDonating = 32768;
constexpr uint32_t kFewInputs = 8, kFewResults = 4;

// What a pass works with; passes hand it on so that the steady state allocates nothing.
struct Buffers {
  std::vector<State> states;
  std::vector<Value> gradients;  // only grows; all empty between passes
  std::vector<uint32_t> ready;
  std::unordered_map<Node*, uint32_t> map;
};
std::unique_ptr<Buffers> spare;

// The first pass keeps its bookkeeping in the nodes. One that starts while another is active (in a hook, or in another
// thread while kernels run without the lock) keeps it in a map.
bool nodes_in_use = false;
uint32_t last_pass = 0;

class Pass {
 public:
  Pass(std::span<const Value> roots, const BackwardOptions& options);
  ~Pass();
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  void seed(std::span<Value> seeds);
  void want(std::span<const Value> inputs);
  void run();
  std::vector<Value> captured;

 private:
  void discover();
  uint32_t find_or_add(Node* node, bool* added);
  State& state_of(Node* node) { return states_[in_nodes_ ? node->state : buffers_->map.find(node)->second]; }
  bool knows(Node* node) const { return in_nodes_ ? node->pass == number_ : buffers_->map.count(node) != 0; }

  void run_hooks(Node* node, Value* grads);
  void retain_gradients(Node* node, Value* grads);
  void accumulate(Handle* handle, Value&& grad);
  void apply_rule(Node* node, Value* grads);
  bool run_known(Node* node, Value* grads);
  void run_any(Node* node, Value* grads);
  void propagate(Node* node, Value* grads, Value* results);
  void add_to(Value& sum, Value&& gradient);
  bool add_small(Value& sum, const Value& gradient);
  Value constant(Meta* meta, double number);

  const std::span<const Value> roots_;
  const BackwardOptions options_;
  const bool keeps_;  // what was saved stays for another pass
  const bool in_nodes_;
  uint32_t number_ = 0;
  bool to_leaves_ = true;
  std::unique_ptr<Buffers> buffers_;
  std::vector<State>& states_;
  std::vector<uint32_t>& ready_;
  std::vector<Capture> captures_;
  uint32_t gradient_count_ = 0;
  uint32_t unfinished_ = 0;  // states whose gradients may not be empty yet
};

Pass::Pass(std::span<const Value> roots, const BackwardOptions& options)
    : roots_(roots),
      options_(options),
      keeps_(options.retain_graph || options.create_graph),
      in_nodes_(!nodes_in_use),
      buffers_(spare ? std::move(spare) : std::make_unique<Buffers>()),
      states_(buffers_->states),
      ready_(buffers_->ready) {
  if (in_nodes_) {
    nodes_in_use = true;
    if (++last_pass == 0) ++last_pass;
    number_ = last_pass;
  }
  for (const Value& root : roots_) node_retain(root.node);
  discover();
}

Pass::~Pass() {
  if (in_nodes_) nodes_in_use = false;
  if (unfinished_ != 0)
    for (uint32_t i = 0; i < gradient_count_; ++i) buffers_->gradients[i].reset();
  for (const Value& root : roots_) node_release(root.node);
  states_.clear();
  ready_.clear();
  buffers_->map.clear();
  if (buffers_->gradients.size() < (1u << 16)) spare = std::move(buffers_);
}

inline uint32_t Pass::find_or_add(Node* node, bool* added) {
  const auto next = static_cast<uint32_t>(states_.size());
  if (in_nodes_) [[likely]] {
    *added = node->pass != number_;
    if (!*added) return node->state;
    node->pass = number_;
    node->state = next;
  } else {
    const auto [entry, is_new] = buffers_->map.try_emplace(node, next);
    *added = is_new;
    if (!is_new) return entry->second;
  }
  states_.push_back({node, 0, gradient_count_});
  gradient_count_ += output_count(node);
  return next;
}

// Finds every node behind the roots and counts the gradients that each will get.
void Pass::discover() {
  bool added;
  for (const Value& root : roots_) {
    const uint32_t state = find_or_add(root.node, &added);
    if (added) ready_.push_back(state);
  }
  while (!ready_.empty()) {
    Node* node = states_[ready_.back()].node;
    ready_.pop_back();
    const Edge* edges = node->edges();
    for (uint32_t i = 0; i < node->edge_count; ++i) {
      if (edges[i].node == nullptr) continue;
      const uint32_t state = find_or_add(edges[i].node, &added);
      ++states_[state].waiting;
      if (added) ready_.push_back(state);
    }
  }
  unfinished_ = static_cast<uint32_t>(states_.size());
  if (buffers_->gradients.size() < gradient_count_) buffers_->gradients.resize(gradient_count_);
}

Value Pass::constant(Meta* meta, double number) {
  if (modes().recorder != nullptr) return runtime.recorded_fill(meta, number);
  return filled(meta, number);
}

void Pass::seed(std::span<Value> seeds) {
  for (size_t i = 0; i < roots_.size(); ++i) {
    const Value& root = roots_[i];
    Value gradient = i < seeds.size() ? std::move(seeds[i]) : Value();
    if (!gradient) {
      if (root.meta->size != 1)
        throw Error(ErrorKind::runtime, "[backward] expected a tensor of one element, got one of " +
                                            std::to_string(root.meta->size) +
                                            ": sum it or average it first, or pass gradient=");
      if (root.meta->dtype == DType::complex64 || root.meta->dtype == DType::complex128)
        throw Error(ErrorKind::runtime, "[backward] expected a real tensor, got " + describe(root.meta) +
                                            ": take its real part or absolute value first, or pass gradient=");
      gradient = constant(root.meta, 1.0);
    } else if (!same_shape(gradient.meta, root.meta) || gradient.meta->dtype != root.meta->dtype) {
      throw Error(ErrorKind::value, "[backward] expected a gradient like the tensor, " + describe(root.meta) + ", got " +
                                        describe(gradient.meta));
    }
    if (!options_.create_graph) gradient.drop_node();
    add_to(buffers_->gradients[state_of(root.node).first + root.output], std::move(gradient));
  }
  for (uint32_t i = 0; i < states_.size(); ++i)
    if (states_[i].waiting == 0) ready_.push_back(i);
}

// Marks the nodes that lie between the roots and what is wanted: only those will be computed.
void Pass::want(std::span<const Value> inputs) {
  to_leaves_ = false;
  captured.resize(inputs.size());
  for (State& state : states_) state.needed = false;
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    Node* node = inputs[i].node;
    if (!knows(node)) continue;
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

// The usual case of a sum: small, first order, nobody is looking. Adds into the sum's own memory if it is nobody
// else's. False: nothing has happened.
bool Pass::add_small(Value& sum, const Value& gradient) {
  if (options_.create_graph || special_threads != 0) return false;
  Program* program = table_find(accumulate_op->id, attrs_id(accumulate_attrs), sum.meta->id, gradient.meta->id, 2);
  if (program == nullptr || !program->simple) return false;
  const std::vector<uint32_t>& reuse = program->outputs[0].reuse;
  if (reuse.empty() || reuse[0] != 0 || !storage_writable(sum.storage) || program->simple_output != sum.meta ||
      !program->in_order || sum.storage == gradient.storage) {
    sum = detail::run_simple(program, &sum, &gradient);
    return true;
  }
  void* const buffers[3] = {sum.data, gradient.data, sum.data};
  program->kernel(buffers, program->simple_params, 0, program->total);
  return true;
}

void Pass::add_to(Value& sum, Value&& gradient) {
  if (!sum) {
    sum = std::move(gradient);
    return;
  }
  if (accumulate_op == nullptr) throw Error(ErrorKind::runtime, "[backward] no op to add gradients is installed");
  if (add_small(sum, gradient)) return;
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
  GradScope scope(options_.create_graph);
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
    const State& child = state_of(edges[i].node);
    const int32_t source = rule->results[i];
    Value& gradient = source >= 0 ? results[source] : grads[-2 - source];
    if (!gradient || !(child.needed || child.captured)) continue;
    Value& sum = buffers_->gradients[child.first + edges[i].output];
    bool used_again = false;
    if (rule->shares_results)
      for (uint32_t j = i + 1; j < node->edge_count && !used_again; ++j)
        used_again = edges[j].node != nullptr && rule->results[j] == source;
    add_to(sum, used_again ? Value(gradient) : std::move(gradient));
  }
}

// Bits of the gradients and saved values that may be overwritten: not gradients that are passed on as they are.
uint64_t overwritable(const Rule* rule, uint32_t count) {
  uint64_t bits = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
  for (int32_t source : rule->results)
    if (source <= -2 && -2 - source < 64) bits &= ~(uint64_t{1} << (-2 - source));
  return bits;
}

// Storages taken out of a node, which is then freed.
struct Taken {
  Storage* storages[kFewInputs];
  uint32_t count = 0;
  void take(Node* node) {
    Saved* saved = node->saved();
    for (uint32_t k = 0; k < node->saved_count; ++k)
      if (saved[k].storage != nullptr) storages[count++] = std::exchange(saved[k].storage, nullptr);
    node->freed = true;
  }
  ~Taken() {
    for (uint32_t i = 0; i < count; ++i) storage_release(storages[i]);
  }
};

// The usual case: first order, nobody is looking, and the rule's program for these gradients is known. The saved
// values are lent to it without touching a reference count. False: nothing has happened.
bool Pass::run_known(Node* node, Value* grads) {
  const Rule* rule = node->rule;
  const uint32_t gradients = node->program->output_count, count = gradients + node->saved_count;
  if (options_.create_graph || count > kFewInputs || rule->op_outputs > kFewResults) return false;
  if (const Modes& current = modes(); current.watched()) return false;

  struct Lent {  // values without references of their own
    union {
      Value values[kFewInputs];
    };
    Lent() {}
    ~Lent() {}
  } lent;
  const Value* inputs[kFewInputs];
  for (uint32_t j = 0; j < gradients; ++j) inputs[j] = grads[j] ? &grads[j] : nullptr;
  const uint32_t input_count = node->program->input_count;
  for (uint32_t k = 0; k < node->saved_count; ++k) {
    const Saved& saved = node->saved()[k];
    const uint32_t index = rule->saved[k];
    Value& value = lent.values[k];
    value.storage = saved.storage;
    value.meta = index < input_count ? node->program->inputs[index] : node->program->outputs[index - input_count].meta;
    value.data = saved.data;
    inputs[gradients + k] = saved.storage != nullptr ? &value : nullptr;
  }
  Program* program = rule->cached_generation == table.generation ? rule->cached : nullptr;
  for (uint32_t j = 0; j < gradients && program != nullptr; ++j)
    if (program->inputs[j] != (inputs[j] != nullptr ? inputs[j]->meta : nullptr)) program = nullptr;
  if (program == nullptr) {
    program = table_find_any(rule->op->id, attrs_id(rule->attrs), inputs, count);
    if (program == nullptr || program->output_count > kFewResults || program->output_count < rule->op_outputs) return false;
    rule->cached = program;
    rule->cached_generation = table.generation;
  }
  program->used = true;

  Taken taken;
  if (!keeps_) taken.take(node);
  struct Results {
    union {
      Value values[kFewResults];
    };
    explicit Results(uint32_t size) : count(size) { std::uninitialized_value_construct_n(values, count); }
    ~Results() { std::destroy_n(values, count); }
    uint32_t count;
  } made(program->output_count);
  Value* results = made.values;
  if (program->simple && program->simple_output->nbytes < kWorthDonating) {
    results[0] = detail::run_simple(program, inputs[0], count == 2 ? inputs[1] : nullptr);
  } else {
    Donation donation;
    if (!keeps_ && program->donates) donation.inputs = overwritable(rule, count);
    program_run(program, inputs, donation, results);
  }
  propagate(node, grads, results);
  return true;
}

void Pass::run_any(Node* node, Value* grads) {
  const Rule* rule = node->rule;
  const uint32_t gradients = node->program->output_count, count = gradients + node->saved_count;
  Values saved(node->saved_count);
  SmallArray<const Value*, 8> inputs(count);
  for (uint32_t j = 0; j < gradients; ++j) inputs[j] = grads[j] ? &grads[j] : nullptr;
  for (uint32_t k = 0; k < node->saved_count; ++k) {
    saved[k] = saved_value(node, k, options_.create_graph);
    inputs[gradients + k] = saved[k] ? &saved[k] : nullptr;
  }
  Call call;
  call.op = rule->op;
  call.attrs = rule->attrs;
  call.inputs = inputs.data();
  call.count = count;
  call.record = options_.create_graph;
  call.line = node->extra != nullptr ? node->extra->line : nullptr;
  if (!keeps_) {
    drop_saved(node);
    node->freed = true;
    call.donated = overwritable(rule, count);
  }
  Values results;
  dispatch(call, results);
  if (results.size() < rule->op_outputs)
    throw Error(ErrorKind::runtime, "[backward] the rule of " + node->program->name + " gave too few gradients");
  propagate(node, grads, results.data());
}

void Pass::apply_rule(Node* node, Value* grads) {
  const Program* program = node->program;
  if (node->freed && node->saved_count != 0)
    throw Error(ErrorKind::runtime,
                "[backward] this part of the graph has been used and freed by an earlier backward pass; pass "
                "retain_graph=True to that one to go through it again");
  uint32_t present = 0;
  for (uint32_t j = 0; j < program->output_count; ++j) present += grads[j] ? 1 : 0;
  if (present == 0) return;
  // A rule is told which results nobody reads; zeros are made only where a gradient is passed through.
  if (present != program->output_count)
    for (int32_t source : node->rule->results) {
      if (source > -2) continue;
      const auto j = static_cast<uint32_t>(-2 - source);
      if (!grads[j]) grads[j] = constant(program->outputs[j].meta, 0.0);
    }
  if (node->rule->op != nullptr) {
    if (!run_known(node, grads)) run_any(node, grads);
    return;
  }
  if (!keeps_ && node->saved_count != 0) {
    drop_saved(node);
    node->freed = true;
  }
  propagate(node, grads, nullptr);
}

void Pass::run() {
  while (!ready_.empty()) {
    const uint32_t index = ready_.back();
    ready_.pop_back();
    const State state = states_[index];
    Node* node = state.node;
    Value* grads = &buffers_->gradients[state.first];
    if (node->extra != nullptr) [[unlikely]] {
      if (!node->extra->hooks.empty()) run_hooks(node, grads);
      if (!node->extra->retainers.empty() && to_leaves_) retain_gradients(node, grads);
    }
    if (state.captured)
      for (const Capture& capture : captures_)
        if (capture.state == index) captured[capture.position] = grads[capture.output];
    if (node->is_leaf()) {
      if (to_leaves_ && node->leaf != nullptr && grads[0]) accumulate(node->leaf, std::move(grads[0]));
    } else if (state.needed) {
      apply_rule(node, grads);
    }
    for (uint32_t j = output_count(node); j-- > 0;) grads[j].reset();
    const Edge* edges = node->edges();
    for (uint32_t i = 0; i < node->edge_count; ++i) {
      if (edges[i].node == nullptr) continue;
      State& child = state_of(edges[i].node);
      if (--child.waiting == 0) ready_.push_back(static_cast<uint32_t>(&child - states_.data()));
    }
  }
  unfinished_ = 0;
}

void check_roots(std::span<const Value> roots) {
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

void backward(std::span<const Value> roots, std::span<Value> seeds, const BackwardOptions& options) {
  check_roots(roots);
  GradScope scope(options.create_graph || modes().grad_enabled);  // first order says so at each call
  Pass pass(roots, options);
  pass.seed(seeds);
  pass.run();
}

std::vector<Value> gradients(std::span<const Value> roots, std::span<Value> seeds, std::span<const Value> inputs,
                             const BackwardOptions& options) {
  check_roots(roots);
  GradScope scope(options.create_graph || modes().grad_enabled);  // first order says so at each call
  Pass pass(roots, options);
  pass.want(inputs);
  pass.seed(seeds);
  pass.run();
  for (size_t i = 0; i < inputs.size() && !options.allow_unused; ++i)
    if (!pass.captured[i])
      throw Error(ErrorKind::runtime, "[gradients] input " + std::to_string(i) +
                                          " does not contribute to the outputs; pass allow_unused=True to get None for it");
  return std::move(pass.captured);
}

}  // namespace twain
