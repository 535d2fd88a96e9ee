// The layout of a tape node: one recorded call, its rule, what the rule needs later, and where its inputs came from.
// A node without a rule stands for a leaf, the tensor whose .grad is filled.
#pragma once
#include <cstdint>

#include "memory/storage.h"

namespace twain {

struct Handle;
struct Node;
struct NodeExtra;
struct Program;
struct Rule;

struct Edge {
  Node* node = nullptr;  // owned; null: that input needs no gradient
  uint32_t output = 0;
};

// A value kept for the rule. Its dtype and shape stand in the program, its tape link in the edges.
struct Saved {
  Storage* storage = nullptr;  // owned; null: freed, or an absent argument
  char* data = nullptr;
  uint64_t trace = 0;
};

struct Node {
  int32_t references;
  uint32_t pass;         // the backward pass that met this node last,
  uint32_t state;        // and its number in it
  uint32_t edge_count;
  uint32_t saved_count;
  uint16_t size_class;
  bool freed;            // a backward pass has dropped what was saved
  Program* program;      // owned; null for a leaf
  const Rule* rule;      // of that program; null for a leaf
  Handle* leaf;          // not owned: forgotten when the tensor dies
  NodeExtra* extra;

  Edge* edges() { return reinterpret_cast<Edge*>(this + 1); }
  Saved* saved() { return reinterpret_cast<Saved*>(edges() + edge_count); }
  bool is_leaf() const { return rule == nullptr; }
};

void node_destroy(Node* node);

inline void node_retain(Node* node) { ++node->references; }
inline void node_release(Node* node) {
  if (--node->references == 0) node_destroy(node);
}

}  // namespace twain
