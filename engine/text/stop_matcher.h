// Ends a text at the first of several stop strings, without ever showing a part of one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pumice {

class StopMatcher {
 public:
  /// Empty strings are ignored.
  explicit StopMatcher(const std::vector<std::string>& stops);

  /// The text that is safe to show now. After a stop string: nothing any more.
  [[nodiscard]] std::string push(std::string_view text);
  /// What was held back because it could have become a stop string.
  [[nodiscard]] std::string flush();

  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] std::string_view matched() const { return matched_; }  ///< the stop string found

 private:
  /// One stop string as a Knuth-Morris-Pratt automaton: constant work per byte.
  struct Stop {
    std::string text;
    std::vector<size_t> border;  ///< border[n]: longest proper border of the first n bytes
    size_t matched = 0;
    void advance(char c);
  };

  std::vector<Stop> stops_;
  std::string held_;
  std::string matched_;
  bool stopped_ = false;
};

}  // namespace pumice
