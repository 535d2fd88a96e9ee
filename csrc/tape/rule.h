// The backward rule of one prepared call, for one choice of inputs that need a gradient.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "dispatch/op.h"

namespace twain {

struct Program;

// A set of input positions.
struct Mask {
  uint64_t first = 0;          // positions 0..63
  std::vector<uint64_t> rest;  // positions from 64 on; trailing zero words are cut
  bool operator==(const Mask&) const = default;
  bool empty() const { return first == 0 && rest.empty(); }
  bool test(uint32_t i) const {
    if (i < 64) return (first >> i & 1) != 0;
    const size_t word = i / 64 - 1;
    return word < rest.size() && (rest[word] >> (i % 64) & 1) != 0;
  }
  void set(uint32_t i) {
    if (i < 64) {
      first |= uint64_t{1} << i;
    } else {
      if (rest.size() < i / 64) rest.resize(i / 64, 0);
      rest[i / 64 - 1] |= uint64_t{1} << (i % 64);
    }
  }
};

struct Rule {
  bool differentiable = false;   // false: outputs need no gradient
  bool saves_outputs = false;
  Op* op = nullptr;              // owned; null: every result is an alias
  Attrs* attrs = nullptr;        // owned
  std::vector<uint32_t> saved;   // indices into inputs + outputs
  std::vector<int32_t> results;  // per input: -1 none, k >= 0 output k of op, -2-j the gradient of output j
  uint32_t op_outputs = 0;       // how many outputs of op are used: 1 + the largest k
  bool shares_results = false;   // some result goes to several inputs
  uint16_t node_class = 0;       // size of its nodes, see node.cpp
  Mask mask;
  // Of op, for the gradients met last. Not owned, as programs and rules may form cycles: good while the table is of
  // this generation.
  mutable Program* cached = nullptr;
  mutable uint32_t cached_generation = 0;

  Rule() = default;
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;
  ~Rule();
};

void rule_finish(Rule* rule);  // works out what follows from the results

// The rules of one program, one per mask.
class RuleSet {
 public:
  Rule* find(uint64_t mask) const { return mask < 8 ? small_[mask] : find_other(Mask{mask, {}}); }
  Rule* find(const Mask& mask) const { return mask.rest.empty() ? find(mask.first) : find_other(mask); }
  Rule* add(std::unique_ptr<Rule> rule);

 private:
  Rule* find_other(const Mask& mask) const;
  Rule* small_[8] = {};
  std::vector<std::unique_ptr<Rule>> all_;
};

}  // namespace twain
