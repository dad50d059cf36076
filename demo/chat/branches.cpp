#include "branches.h"

#include <algorithm>
#include <unordered_map>

namespace pumice::chat {

std::vector<size_t> branch_to(const std::vector<Message>& messages, int64_t leaf) {
  std::unordered_map<int64_t, size_t> at;
  for (size_t i = 0; i < messages.size(); ++i) at[messages[i].id] = i;
  if (messages.empty()) return {};
  if (!at.contains(leaf)) leaf = messages.back().id;
  std::vector<size_t> branch;
  // Ids only grow downwards, so that a file with a ring in it ends the walk.
  for (int64_t id = leaf, below = INT64_MAX; id < below && at.contains(id);
       below = id, id = messages[branch.back()].parent)
    branch.push_back(at[id]);
  std::reverse(branch.begin(), branch.end());
  return branch;
}

std::vector<int64_t> siblings_of(const std::vector<Message>& messages, int64_t message) {
  const auto self = std::find_if(messages.begin(), messages.end(),
                                 [&](const Message& each) { return each.id == message; });
  std::vector<int64_t> found;
  if (self == messages.end()) return found;
  for (const Message& each : messages)
    if (each.parent == self->parent) found.push_back(each.id);
  return found;
}

int64_t newest_leaf(const std::vector<Message>& messages, int64_t message) {
  // Messages come by age: the last child written down for a parent is its newest.
  std::unordered_map<int64_t, int64_t> newest_child;
  for (const Message& each : messages) newest_child[each.parent] = each.id;
  for (auto next = newest_child.find(message); next != newest_child.end() && next->second > message;
       next = newest_child.find(message))
    message = next->second;
  return message;
}

}  // namespace pumice::chat
