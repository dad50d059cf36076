// `pumice chat`: lines in, answers out, one sequence that grows. Ctrl-C stops an answer.
#include <memory>
#include <string>
#include <vector>

#include "built_in_model.h"
#include "command.h"
#include "engine/base/platform.h"
#include "engine/text/chat_template.h"
#include "generate.h"
#include "options.h"
#include "output.h"

namespace pumice::command {
namespace {

struct Options {
  ModelFlags model;
  SamplingFlags sampling;
  std::string system, chat_template;
};

/// Without a chat format nothing tells a model to end its answer.
constexpr int64_t kPlainTokens = 128;

/// One conversation on sequence 0 of an engine.
class Conversation {
 public:
  Conversation(Engine& engine, const Options& options, const std::optional<ChatTemplate>& chat)
      : engine_(engine), options_(options), chat_(chat) {
    limits_.n_predict = options.sampling.n_predict;
    if (chat) limits_.stop_tokens = reply_end_tokens(engine.tokenizer(), *chat);
    if (!chat && limits_.n_predict < 0) limits_.n_predict = kPlainTokens;
    reset();
  }

  void reset() {
    engine_.rewind(0, 0);
    tokens_.clear();
    pending_.clear();
    sampling_ = sampling_options(options_.sampling);
    engine_.set_sampling(0, sampling_);
  }

  /// A turn that fails leaves the conversation as it was before.
  [[nodiscard]] tl::expected<Reply, Failure> answer(const std::string& text) {
    PUMICE_TRY_ASSIGN(std::vector<int32_t> turn, encode_turn(text));
    turn.insert(turn.begin(), pending_.begin(), pending_.end());
    const uint32_t before = engine_.length(0);
    std::vector<int32_t> seen = tokens_;
    seen.insert(seen.end(), turn.begin(), turn.end());
    engine_.set_history(0, seen);
    auto reply = generate(engine_, 0, turn, limits_, sink());
    if (!reply) {
      engine_.rewind(0, before);
      return reply;
    }
    tokens_ = std::move(seen);
    pending_ = reply->not_yet_cached;
    return reply;
  }

  [[nodiscard]] uint64_t seed() const { return sampling_.seed; }
  [[nodiscard]] const SamplingOptions& sampling() const { return sampling_; }

 private:
  Result<std::vector<int32_t>> encode_turn(const std::string& text) const {
    const Tokenizer& tokenizer = engine_.tokenizer();
    const bool first = engine_.length(0) == 0;
    if (!chat_) {
      EncodeOptions encode;
      encode.add_bos = first;
      return tokenizer.encode(first ? text : "\n" + text, encode);
    }
    if (!first) return encode_next_turn(tokenizer, *chat_, text, /*reply_ended=*/false);
    std::vector<ChatMessage> messages;
    if (!options_.system.empty()) messages.push_back({ChatRole::System, options_.system});
    messages.push_back({ChatRole::User, text});
    return encode_chat(tokenizer, *chat_, messages, true);
  }

  /// Formats differ in the white space before an answer; a reader needs none of it.
  static TextSink sink() {
    return [begun = false](std::string_view text) mutable -> Outcome {
      if (!begun) text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
      if (text.empty()) return {};
      begun = true;
      return write_text(text);
    };
  }

  Engine& engine_;
  const Options& options_;
  const std::optional<ChatTemplate>& chat_;
  Limits limits_;
  SamplingOptions sampling_;
  std::vector<int32_t> tokens_;   ///< of the turns so far, for the repetition penalty
  std::vector<int32_t> pending_;  ///< the last answer's tokens that the cache lacks
};

/// No format in the file is a way to talk too; one that we cannot read is an error.
Result<std::optional<ChatTemplate>> choose_format(const Engine& engine, const Options& options) {
  if (options.chat_template.empty() && engine.tokenizer().chat_template().empty()) {
    complain("this file has no chat format: your lines are continued as plain text");
    return std::optional<ChatTemplate>();
  }
  PUMICE_TRY_ASSIGN(ChatTemplate chat,
                    chat_template_for(engine.tokenizer(), options.chat_template));
  return std::optional<ChatTemplate>(std::move(chat));
}

/// Reads lines until the end; `failed` counts turns without an answer.
Outcome talk(Engine& engine, Conversation& conversation, bool verbose, int& failed) {
  const bool terminal = is_terminal(Stream::Input);
  for (std::string line;;) {
    clear_interrupts();
    if (terminal) std::fputs("> ", stderr);
    const ReadEnd end = read_line(line);
    if (end != ReadEnd::Line || line == "/exit" || line == "/quit") break;
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    if (line == "/reset") {
      conversation.reset();
      continue;
    }
    if (line == "/help") {
      std::fputs("/reset forgets the conversation, /exit or Ctrl-D ends, Ctrl-C stops an answer\n",
                 stderr);
      continue;
    }
    const auto reply = conversation.answer(line);
    if (!reply && reply.error().text.empty()) return tl::unexpected<Failure>(reply.error());
    if (Outcome written = write_text("\n"); !written) return written;
    if (!reply) {
      complain(reply.error().text + (engine.length(0) > 0 ? " (/reset starts anew)" : ""));
      ++failed;
    } else {
      if (verbose) std::fputs(statistics_text(engine, *reply, conversation.seed()).c_str(), stderr);
      if (reply->stop == StopReason::Interrupted) complain("stopped");
      if (reply->stop == StopReason::ContextFull)
        complain("the context is full; /reset starts anew, -c gives a larger one");
    }
  }
  if (terminal) std::fputs("\n", stderr);
  return {};
}

Outcome chat(Options options) {
  if (Outcome found = find_model(options.model.hub, options.model.model); !found) return found;
  Result<LoadOptions> load = load_options(options.model);
  if (!load) return usage("{}", load.error().text);
  count_interrupts();
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(*load));
  if (interrupts() > 0) return tl::unexpected<Failure>(Failure(kFailed, "interrupted"));
  if (!engine->tokenizer().has_text())
    return tl::unexpected<Failure>(Failure(
        kFailed, fmt::format("{}: its vocabulary has ids but no texts, so nobody can chat with it",
                             options.model.model)));
  PUMICE_TRY_ASSIGN(const std::optional<ChatTemplate> format, choose_format(*engine, options));
  Conversation conversation(*engine, options, format);
  if (options.model.verbose)
    std::fputs(configuration_text(*engine, conversation.sampling()).c_str(), stderr);
  if (is_terminal(Stream::Input) && options.model.model == built_in_model())
    std::fputs("the built-in model, a small one; -m FILE loads another\n", stderr);
  if (is_terminal(Stream::Input))
    std::fprintf(stderr, "%s on %s; /help for help\n",
                 format ? format->name().c_str() : "plain text",
                 printable(engine->device().capabilities().device_name).c_str());
  int failed = 0;
  if (Outcome talked = talk(*engine, conversation, options.model.verbose, failed); !talked)
    return talked;
  PUMICE_TRY(check_validation(*engine));
  // A person has seen the complaints; a program looks at the exit code.
  if (failed > 0 && !is_terminal(Stream::Input))
    return tl::unexpected<Failure>(Failure(kFailed, fmt::format("{} lines had no answer", failed)));
  return {};
}

}  // namespace

Action add_chat(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_flags(app, options->model);
  add_sampling_flags(app, options->sampling);
  app.add_option("--system", options->system, "System text at the start of the conversation");
  app.add_option("--chat-template", options->chat_template,
                 "Chat format: " + ChatTemplate::names() + " (default: the file's)");
  return [options] { return chat(*options); };
}

}  // namespace pumice::command
