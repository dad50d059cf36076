// How a failure travels inside the window: one line of words that can be shown as it is.
// The engine's own failures arrive as pm_error and become the same.
#pragma once

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace pumice::chat {

/// What, where, and what to do about it; written for the person in front of the window.
struct Trouble {
  std::string text;
  bool lost_device = false;  ///< the window's own: a fresh one may do
  bool gone = false;         ///< what was asked for is no longer there
};

template <class T>
using Outcome = tl::expected<T, Trouble>;

template <class... Args>
[[nodiscard]] tl::unexpected<Trouble> trouble(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Trouble>(Trouble{fmt::format(text, std::forward<Args>(args)...)});
}

/// The failing side of another Outcome, passed on.
template <class T>
[[nodiscard]] tl::unexpected<Trouble> trouble_of(Outcome<T>& failed) {
  return tl::unexpected<Trouble>(std::move(failed.error()));
}

}  // namespace pumice::chat
