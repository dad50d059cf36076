// A model that is named rather than given as a file: -hf, in place of -m.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "command.h"

namespace pumice::command {

inline constexpr const char* kModelFile = "GGUF file, of a split model any part";

struct HubFlags {
  std::string repo;  ///< USER/REPO or USER/REPO:QUANT; empty = the model is a file
  std::string file;  ///< path in the repository, for what a quantisation does not tell
  bool offline = false;
};

/// -hf and what goes with it; either -hf or `model`, the option -m, not both. Returns -hf.
CLI::Option* add_hub_options(CLI::App& app, CLI::Option* model, HubFlags& hub);

/// With -hf, `model` becomes the path of the file, which may take a long download: the last thing
/// before the model is opened. Without it, nothing happens.
[[nodiscard]] Outcome find_model(const HubFlags& hub, std::string& model);

/// The path of the file that the flags name, in this user's cache. Progress and what a user should
/// know go to stderr, and Ctrl-C ends it.
[[nodiscard]] Result<std::string> download_model(const HubFlags& flags);

}  // namespace pumice::command
