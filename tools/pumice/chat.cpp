// `pumice chat`: lines in, answers out, one sequence that grows. Ctrl-C stops an answer.
#include <memory>
#include <optional>
#include <string>

#include "built_in_model.h"
#include "command.h"
#include "engine/base/platform.h"
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

/// One conversation on sequence 0 of an engine.
class Chat {
 public:
  Chat(Engine& engine, const Options& options, const std::optional<ChatTemplate>& format)
      : engine_(engine), options_(options), format_(format) {}

  /// Starts anew; also the first time.
  [[nodiscard]] Result<void> reset() {
    ConversationOptions options;
    options.context = engine_.plan().options.context;
    options.max_tokens = options_.sampling.n_predict;
    if (!format_ && options.max_tokens < 0) options.max_tokens = Conversation::kPlainTokens;
    session_.emplace(Conversation(engine_.tokenizer(), format_, options), 0,
                     sampling_options(options_.sampling));
    return session_->conversation().say(ChatRole::System, options_.system);
  }

  /// A turn that fails leaves the conversation as it was before.
  [[nodiscard]] tl::expected<Reply, Failure> answer(const std::string& text) {
    Conversation& conversation = session_->conversation();
    const size_t before = conversation.messages().size();
    PUMICE_TRY(conversation.say(ChatRole::User, text));
    auto reply = generate(engine_, *session_, write_text);
    if (!reply) PUMICE_TRY(conversation.rewind(before));
    return reply;
  }

  [[nodiscard]] const SamplingOptions& sampling() const { return session_->sampling(); }
  [[nodiscard]] bool begun() const { return !session_->conversation().tokens().empty(); }

 private:
  Engine& engine_;
  const Options& options_;
  const std::optional<ChatTemplate>& format_;
  std::optional<Session> session_;
};

/// No format in the file is a way to talk too; one that we cannot read is an error.
Result<std::optional<ChatTemplate>> choose_format(const Engine& engine, const Options& options) {
  auto format = choose_chat_format(engine.tokenizer(), options.chat_template);
  if (format && !*format && options.chat_template.empty())
    complain("this file has no chat format: your lines are continued as plain text");
  return format;
}

/// Reads lines until the end; `failed` counts turns without an answer.
Outcome talk(Engine& engine, Chat& chat, bool verbose, int& failed) {
  const bool terminal = is_terminal(Stream::Input);
  for (std::string line;;) {
    clear_interrupts();
    if (terminal) std::fputs("> ", stderr);
    const ReadEnd end = read_line(line);
    if (end != ReadEnd::Line || line == "/exit" || line == "/quit") break;
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    if (line == "/reset") {
      PUMICE_TRY(chat.reset());
      continue;
    }
    if (line == "/help") {
      std::fputs("/reset forgets the conversation, /exit or Ctrl-D ends, Ctrl-C stops an answer\n",
                 stderr);
      continue;
    }
    const auto reply = chat.answer(line);
    if (!reply && reply.error().text.empty()) return tl::unexpected<Failure>(reply.error());
    if (Outcome written = write_text("\n"); !written) return written;
    if (!reply) {
      complain(reply.error().text + (chat.begun() ? " (/reset starts anew)" : ""));
      ++failed;
    } else {
      if (verbose)
        std::fputs(statistics_text(engine, *reply, chat.sampling().seed).c_str(), stderr);
      if (reply->end == ReplyEnd::Stopped) complain("stopped");
      if (reply->end == ReplyEnd::ContextFull)
        complain("the context is full; /reset starts anew, -c gives a larger one");
    }
  }
  if (terminal) std::fputs("\n", stderr);
  return {};
}

Outcome converse(Options options) {
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
  Chat chat(*engine, options, format);
  PUMICE_TRY(chat.reset());
  if (options.model.verbose)
    std::fputs(configuration_text(*engine, chat.sampling()).c_str(), stderr);
  if (is_terminal(Stream::Input) && options.model.model == built_in_model())
    std::fputs("the built-in model, a small one; -m FILE loads another\n", stderr);
  if (is_terminal(Stream::Input))
    std::fprintf(stderr, "%s on %s; /help for help\n",
                 format ? format->name().c_str() : "plain text",
                 printable(engine->device().capabilities().device_name).c_str());
  int failed = 0;
  if (Outcome talked = talk(*engine, chat, options.model.verbose, failed); !talked) return talked;
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
  app.add_option(
      "--chat-template", options->chat_template,
      "Chat format: " + ChatTemplate::names() + " (default: the file's; none: plain text)");
  return [options] { return converse(*options); };
}

}  // namespace pumice::command
