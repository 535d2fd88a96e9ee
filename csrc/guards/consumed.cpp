#include "guards/consumed.h"

#include <memory>
#include <unordered_set>
#include <vector>

#include "dispatch/error.h"
#include "plan/program.h"

namespace twain {

bool is_consumed(Node* node) {
  std::vector<Node*> stack;
  std::unordered_set<Node*> seen;
  if (node != nullptr) stack.push_back(node);
  while (!stack.empty()) {
    Node* next = stack.back();
    stack.pop_back();
    if (!seen.insert(next).second) continue;
    if (next->freed && next->saved_count != 0) return true;
    for (uint32_t i = 0; i < next->edge_count; ++i)
      if (next->edges()[i].node != nullptr) stack.push_back(next->edges()[i].node);
  }
  return false;
}

Program* consumed_program(PyObject* name, Meta* meta) {
  const char* text = PyUnicode_AsUTF8(name);
  if (text == nullptr) throw CallbackFailed();
  auto program = std::make_unique<Program>();
  program->name = text;
  program->output_count = 1;
  program->outputs.resize(1);
  meta_retain(meta);
  program->outputs[0].meta = meta;
  auto rule = std::make_unique<Rule>();
  rule->differentiable = true;
  rule->saved.push_back(0);
  program->rules.add(std::move(rule));
  return program.release();
}

void mark_consumed(Value& value, Program* program) {
  value.drop_node();
  tape_record(program, program->rules.find(Mask{}), nullptr, &value);
  drop_saved(value.node);
  value.node->freed = true;
}

}  // namespace twain
