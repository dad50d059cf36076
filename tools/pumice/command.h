// What a subcommand is: it adds its flags to an app and hands back the action to run after
// parsing. main.cpp holds the table of all of them.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>

#include "engine/base/result.h"

namespace pumice::command {

enum ExitCode : int { kDone = 0, kFailed = 1, kUsage = 2, kRegression = 3 };

/// Why a subcommand did not do its work. Library errors convert into exit code 1.
struct Failure {
  ExitCode exit = kFailed;
  std::string text;  ///< one line; empty = end without a word (the reader of stdout has gone)

  Failure(ExitCode code, std::string words) : exit(code), text(std::move(words)) {}
  Failure(const Error& error) : text(error.text) {}        // NOLINT: meant to convert
  Failure(Error&& error) : text(std::move(error.text)) {}  // NOLINT
};

using Outcome = tl::expected<void, Failure>;
using Action = std::function<Outcome()>;

template <class... Args>
[[nodiscard]] tl::unexpected<Failure> usage(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Failure>(Failure(kUsage, fmt::format(text, std::forward<Args>(args)...)));
}

// One per file of this folder.
[[nodiscard]] Action add_run(CLI::App& app);
[[nodiscard]] Action add_chat(CLI::App& app);
[[nodiscard]] Action add_info(CLI::App& app);
[[nodiscard]] Action add_devices(CLI::App& app);
[[nodiscard]] Action add_tokenize(CLI::App& app);
[[nodiscard]] Action add_logits(CLI::App& app);
[[nodiscard]] Action add_eval(CLI::App& app);
[[nodiscard]] Action add_quantize(CLI::App& app);
[[nodiscard]] Action add_imatrix(CLI::App& app);
[[nodiscard]] Action add_lab(CLI::App& app);
[[nodiscard]] Action add_bench(CLI::App& app);

}  // namespace pumice::command
