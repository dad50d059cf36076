// `pumice run`: one prompt, one text, the figures, the end.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "engine/base/platform.h"
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

/// A conversation that waits for its answer: in the file's chat format where it has one, else the
/// prompt as it stands.
Result<Conversation> ask(const Engine& engine, const Options& options, bool plain) {
  const Tokenizer& tokenizer = engine.tokenizer();
  std::optional<ChatTemplate> format;
  if (!plain) {
    PUMICE_TRY_ASSIGN(format, choose_chat_format(tokenizer, options.chat_template));
  }
  ConversationOptions limits;
  limits.context = engine.plan().options.context;
  limits.max_tokens = options.sampling.n_predict;
  limits.stops = options.stops;
  limits.trims_front = false;
  limits.parse_special = options.special;
  Conversation conversation(tokenizer, std::move(format), std::move(limits));
  if (!plain) PUMICE_TRY(conversation.say(ChatRole::System, options.system));
  PUMICE_TRY(conversation.say(ChatRole::User, options.prompt));
  return conversation;
}

const char* words_of(ReplyEnd end) {
  switch (end) {
    case ReplyEnd::StopText:
      return "stop";
    case ReplyEnd::Limit:
      return "limit";
    case ReplyEnd::ContextFull:
      return "context";
    case ReplyEnd::Stopped:
      return "interrupted";
    case ReplyEnd::None:
    case ReplyEnd::ModelEnded:
      break;
  }
  return "end";
}

Outcome finish(Engine& engine, const Options& options, const Reply& reply, uint64_t seed) {
  if (options.json) {
    nlohmann::ordered_json json = {{"text", reply.text}, {"stop", words_of(reply.end)}};
    json.update(statistics_json(engine, reply, seed));
    if (Outcome written = write_json(json); !written) return written;
  } else if (Outcome written = write_text("\n"); !written) {
    return written;
  }
  if (!options.json) std::fputs(statistics_text(engine, reply, seed).c_str(), stderr);
  if (reply.end == ReplyEnd::ContextFull)
    complain(fmt::format("stopped: the context of {} tokens is full (-c)",
                         engine.plan().options.context));
  PUMICE_TRY(check_validation(engine));
  if (reply.end == ReplyEnd::Stopped)
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
  const bool plain = options.raw || options.chat_template == "none" ||
                     (options.chat_template.empty() && engine->tokenizer().chat_template().empty());
  PUMICE_TRY_ASSIGN(Conversation conversation, ask(*engine, options, plain));
  const SamplingOptions sampling = sampling_options(options.sampling);
  if (options.model.verbose) std::fputs(configuration_text(*engine, sampling).c_str(), stderr);
  const TextSink sink = [&](std::string_view text) {
    return options.json ? Outcome() : write_text(text);
  };
  if (plain && !options.no_echo)
    if (Outcome echoed = sink(options.prompt); !echoed) return echoed;
  Session session(std::move(conversation), 0, sampling);
  const auto reply = generate(*engine, session, sink);
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
  app.add_option(
      "--chat-template", options->chat_template,
      "Chat format: " + ChatTemplate::names() + " (default: the file's; none: plain text)");
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
