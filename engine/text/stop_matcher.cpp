// All stop strings run side by side; what the longest open match covers is held back.
#include "engine/text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace pumice {

void StopMatcher::Stop::advance(char c) {
  while (matched > 0 && text[matched] != c) matched = border[matched];
  if (text[matched] == c) ++matched;
}

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& text : stops) {
    if (text.empty()) continue;
    Stop stop{text, std::vector<size_t>(text.size() + 1, 0), 0};
    for (size_t i = 1, n = 0; i < text.size(); ++i) {
      while (n > 0 && text[n] != text[i]) n = stop.border[n];
      if (text[n] == text[i]) ++n;
      stop.border[i + 1] = n;
    }
    stops_.push_back(std::move(stop));
  }
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return {};
  size_t open = 0;
  for (const char c : text) {
    held_ += c;
    open = 0;
    const Stop* found = nullptr;
    for (Stop& stop : stops_) {
      stop.advance(c);
      open = std::max(open, stop.matched);
      const bool done = stop.matched == stop.text.size();
      if (done && (!found || stop.text.size() > found->text.size())) found = &stop;
    }
    if (!found) continue;
    stopped_ = true;
    matched_ = found->text;
    held_.resize(held_.size() - matched_.size());
    return std::exchange(held_, {});
  }
  if (text.empty()) return {};
  std::string safe = held_.substr(0, held_.size() - open);
  held_.erase(0, safe.size());
  return safe;
}

std::string StopMatcher::flush() {
  for (Stop& stop : stops_) stop.matched = 0;
  return std::exchange(held_, {});
}

}  // namespace pumice
