// The pumice command: parses flags, runs one subcommand, turns its outcome into one line on stderr
// and an exit code: 0 done, 1 failed, 2 usage, 3 slower than before (bench compare).
#include <CLI/CLI.hpp>
#include <array>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.h"
#include "engine/base/platform.h"
#include "output.h"

namespace pumice::command {
namespace {

struct Subcommand {
  const char* name;
  const char* summary;
  Action (*add)(CLI::App& app);
};

constexpr std::array kSubcommands = {
    Subcommand{"run", "Continue or answer one prompt and exit", add_run},
    Subcommand{"chat", "Talk in the terminal", add_chat},
    Subcommand{"info", "What a model file holds", add_info},
    Subcommand{"devices", "Vulkan devices of this machine", add_devices},
    Subcommand{"tokenize", "Text to token ids", add_tokenize},
    Subcommand{"logits", "Raw logits of given tokens", add_logits},
    Subcommand{"eval", "Perplexity, divergence from a reference, answers to questions", add_eval},
    Subcommand{"quantize", "A smaller file of the same model", add_quantize},
    Subcommand{"imatrix", "Statistics of activations over a text", add_imatrix},
    Subcommand{"lab", "A page on what quantising costs a model", add_lab},
    Subcommand{"bench", "Speed: of models and kernels, compared, plotted", add_bench},
};

/// True, after a complaint, when the first word is meant as a subcommand and is none.
bool unknown_subcommand(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  std::string known;
  for (const Subcommand& row : kSubcommands) {
    if (std::string_view(argv[1]) == row.name) return false;
    known += fmt::format(" {}", row.name);
  }
  complain(fmt::format("\"{}\" is not a subcommand; there are:{}", argv[1], known));
  return true;
}

/// Flags of two dashes that llama.cpp's users write with one, which would be read as -c or -h.
constexpr std::array kOneDash = {
    std::pair{std::string_view("-ctk"), "--cache-type-k"},
    std::pair{std::string_view("-ctv"), "--cache-type-v"},
    std::pair{std::string_view("-hf"), "--hf-repo"},
    std::pair{std::string_view("-hfr"), "--hf-repo"},
    std::pair{std::string_view("-hff"), "--hf-file"},
};

std::vector<const char*> with_known_flags(int argc, char** argv) {
  std::vector<const char*> words(argv, argv + argc);
  for (const char*& word : words)
    for (const auto& [one_dash, flag] : kOneDash)
      if (word == one_dash) word = flag;
  return words;
}

int parse_error(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  std::string words = app.get_name();
  for (const CLI::App* chosen = &app; !chosen->get_subcommands().empty();) {
    chosen = chosen->get_subcommands().front();
    words += " " + chosen->get_name();
  }
  complain(fmt::format("{} (see {} --help)", error.what(), words));
  return kUsage;
}

int finish(const Outcome& outcome) {
  if (outcome) return kDone;
  if (!outcome.error().text.empty()) complain(outcome.error().text);
  return outcome.error().exit;
}

int pumice_main(int argc, char** argv) {
  if (unknown_subcommand(argc, argv)) return kUsage;
  CLI::App app("Runs quantised language models on any GPU through Vulkan.", "pumice");
  app.set_version_flag("--version", PUMICE_VERSION);
  app.require_subcommand(1);
  std::array<Action, kSubcommands.size()> actions;
  std::array<CLI::App*, kSubcommands.size()> apps{};
  for (size_t i = 0; i < kSubcommands.size(); ++i) {
    apps[i] = app.add_subcommand(kSubcommands[i].name, kSubcommands[i].summary);
    apps[i]->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    actions[i] = kSubcommands[i].add(*apps[i]);
  }
  try {
    app.parse(argc, with_known_flags(argc, argv).data());
  } catch (const CLI::ParseError& error) {
    return parse_error(app, error);
  }
  for (size_t i = 0; i < apps.size(); ++i)
    if (apps[i]->parsed()) return finish(actions[i]());
  return kUsage;
}

}  // namespace
}  // namespace pumice::command

int main(int argc, char** argv) {
  pumice::prepare_standard_streams();
  try {  // CLI11, nlohmann-json and the allocator throw; nothing of ours does
    return pumice::command::pumice_main(argc, argv);
  } catch (const std::exception& error) {
    pumice::command::complain(error.what());
  } catch (...) {
    pumice::command::complain("an unknown failure");
  }
  return pumice::command::kFailed;
}
