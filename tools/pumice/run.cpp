// `pumice run`: one prompt, one text, the figures, the end.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.h"
#include "engine/base/platform.h"
#include "engine/text/chat_template.h"
#include "generate.h"
#include "options.h"
#include "output.h"
#include "read_text.h"

namespace pumice::command {
namespace {

struct Options {
  ModelFlags model;
  SamplingFlags sampling;
  std::string prompt, file, system, chat_template;
  std::vector<std::string> stops;
  bool raw = false, special = false, no_echo = false, json = false;
};

struct Prompt {
  std::vector<int32_t> tokens;
  std::vector<int32_t> stop_tokens;
  std::string echo;  ///< what stdout shows before the continuation
};

/// Written in the file's chat format where it has one, as it stands otherwise.
Result<Prompt> encode_prompt(const Engine& engine, const Options& options) {
  const Tokenizer& tokenizer = engine.tokenizer();
  Prompt prompt;
  const bool plain =
      options.raw || (options.chat_template.empty() && tokenizer.chat_template().empty());
  if (plain) {
    EncodeOptions encode;
    encode.add_bos = true;
    encode.parse_special = options.special;
    PUMICE_TRY_ASSIGN(prompt.tokens, tokenizer.encode(options.prompt, encode));
    if (!options.no_echo) prompt.echo = options.prompt;
    return prompt;
  }
  PUMICE_TRY_ASSIGN(const ChatTemplate chat, chat_template_for(tokenizer, options.chat_template));
  std::vector<ChatMessage> messages;
  if (!options.system.empty()) messages.push_back({ChatRole::System, options.system});
  messages.push_back({ChatRole::User, options.prompt});
  PUMICE_TRY_ASSIGN(prompt.tokens, encode_chat(tokenizer, chat, messages, true));
  prompt.stop_tokens = reply_end_tokens(tokenizer, chat);
  return prompt;
}

const char* words_of(StopReason reason) {
  switch (reason) {
    case StopReason::ModelEnded:
      return "end";
    case StopReason::StopText:
      return "stop";
    case StopReason::Limit:
      return "limit";
    case StopReason::ContextFull:
      return "context";
    case StopReason::Interrupted:
      return "interrupted";
  }
  return "";
}

Outcome finish(Engine& engine, const Options& options, const Reply& reply, uint64_t seed) {
  if (options.json) {
    nlohmann::ordered_json json = {{"text", reply.text}, {"stop", words_of(reply.stop)}};
    json.update(statistics_json(engine, reply, seed));
    if (Outcome written = write_json(json); !written) return written;
  } else if (Outcome written = write_text("\n"); !written) {
    return written;
  }
  if (!options.json) std::fputs(statistics_text(engine, reply, seed).c_str(), stderr);
  if (reply.stop == StopReason::ContextFull)
    complain(fmt::format("stopped: the context of {} tokens is full (-c)",
                         engine.plan().options.context));
  PUMICE_TRY(check_validation(engine));
  if (reply.stop == StopReason::Interrupted)
    return tl::unexpected<Failure>(Failure(kFailed, "interrupted"));
  return {};
}

Outcome run(Options options) {
  if (options.prompt.empty() && options.file.empty())
    return usage("the prompt is empty; give some text with -p TEXT or -f FILE (-f -: stdin)");
  if (Outcome found = find_model(options.model.hub, options.model.model); !found) return found;
  Result<LoadOptions> load = load_options(options.model);
  if (!load) return usage("{}", load.error().text);
  count_interrupts();
  if (!options.file.empty()) {
    PUMICE_TRY_ASSIGN(options.prompt, read_text(options.file));
  }
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(*load));
  PUMICE_TRY_ASSIGN(const Prompt prompt, encode_prompt(*engine, options));
  if (prompt.tokens.empty())
    return tl::unexpected<Failure>(Failure(kFailed, "the prompt has no tokens in this vocabulary"));

  PUMICE_TRY(check_fits(*engine, 0, prompt.tokens.size()));
  const SamplingOptions sampling = sampling_options(options.sampling);
  engine->set_sampling(0, sampling);
  engine->set_history(0, prompt.tokens);
  if (options.model.verbose) std::fputs(configuration_text(*engine, sampling).c_str(), stderr);
  const TextSink sink = [&](std::string_view text) {
    return options.json ? Outcome() : write_text(text);
  };
  if (Outcome echoed = sink(prompt.echo); !echoed) return echoed;
  const Limits limits = {options.sampling.n_predict, options.stops, prompt.stop_tokens};
  const auto reply = generate(*engine, 0, prompt.tokens, limits, sink);
  if (!reply) return tl::unexpected<Failure>(reply.error());
  return finish(*engine, options, *reply, sampling.seed);
}

}  // namespace

Action add_run(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_flags(app, options->model);
  app.add_option("-p,--prompt", options->prompt, "The prompt");
  app.add_option("-f,--file", options->file, "File with the prompt (-: stdin)");
  add_sampling_flags(app, options->sampling);
  app.add_option("--system", options->system, "System text, where the model has a chat format");
  app.add_option("--chat-template", options->chat_template,
                 "Chat format: " + ChatTemplate::names() + " (default: the file's)");
  app.add_option("--stop", options->stops, "Text that ends the answer (may be repeated)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  app.add_flag("--raw", options->raw, "Continue the prompt as it stands, even with a chat format");
  app.add_flag("--special", options->special, "With --raw: recognise special tokens in the prompt");
  app.add_flag("--no-display-prompt", options->no_echo, "Do not repeat the continued prompt");
  app.add_flag("--json", options->json, "Text and figures as one JSON document on stdout");
  return [options] { return run(*options); };
}

}  // namespace pumice::command
