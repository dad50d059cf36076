// What a screenshot shows: conversations with a model, and others that were written down, with
// everything that the window can draw.
#pragma once

#include "app.h"

namespace pumice::chat {

/// Fills an empty history with conversations that were never held.
[[nodiscard]] Outcome<void> write_sample(History& history);

/// Asks the model, one question after the other, in a few conversations.
class Script {
 public:
  /// True: all is said. To be called between frames.
  [[nodiscard]] bool step(App& app);

 private:
  size_t next_ = 0;
};

}  // namespace pumice::chat
