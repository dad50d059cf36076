// The tree of a conversation as the window walks it: the branch that ends in a leaf, and the
// siblings that the arrows beside a message lead to.
#pragma once

#include <cstdint>
#include <vector>

#include "history.h"

namespace pumice::chat {

/// Indices into `messages` from the root to `leaf`. A leaf that is not there (0, or removed) means
/// the newest branch.
[[nodiscard]] std::vector<size_t> branch_to(const std::vector<Message>& messages, int64_t leaf);

/// Ids of the messages with the same parent, the oldest first, `message` among them.
[[nodiscard]] std::vector<int64_t> siblings_of(const std::vector<Message>& messages,
                                               int64_t message);

/// The end of the newest branch through `message`.
[[nodiscard]] int64_t newest_leaf(const std::vector<Message>& messages, int64_t message);

}  // namespace pumice::chat
