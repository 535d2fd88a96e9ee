#include "tape/rule.h"

#include <algorithm>
#include <unordered_set>

#include "tape/node.h"


namespace twain {

Rule::~Rule() {
  if (op != nullptr) op_release(op);
  attrs_release(attrs);
}

void rule_finish(Rule* rule) {
  std::unordered_set<int32_t> seen;
  for (int32_t source : rule->results) {
    if (source >= 0) rule->op_outputs = std::max(rule->op_outputs, static_cast<uint32_t>(source) + 1);
    if (source != -1 && !seen.insert(source).second) rule->shares_results = true;
  }
}

Rule* RuleSet::add(std::unique_ptr<Rule> rule) {
  Rule* added = rule.get();
  added->node_class = node_size_class(added->results.size(), added->saved.size());
  all_.push_back(std::move(rule));
  if (added->mask.rest.empty() && added->mask.first < 8) small_[added->mask.first] = added;
  return added;
}

Rule* RuleSet::find_other(const Mask& mask) const {
  for (const auto& rule : all_)
    if (rule->mask == mask) return rule.get();
  return nullptr;
}

}  // namespace twain
