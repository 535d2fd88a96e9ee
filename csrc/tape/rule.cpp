#include "tape/rule.h"

#include "plan/program.h"

namespace twain {

Rule::~Rule() {
  if (cached != nullptr) program_release(cached);
  if (op != nullptr) op_release(op);
  attrs_release(attrs);
}

Rule* RuleSet::add(std::unique_ptr<Rule> rule) {
  Rule* added = rule.get();
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
