// `pumice eval qa`: greedy answers to the questions of a JSONL file, scored by exact substring
// with letters of both cases alike.
//
// A line: {"question": "...", "answers": ["any of", "these"] or "fact": "...", and where wanted
// "turns": earlier turns in order, "system": "...", "category": "..."}. A turn is a user's text,
// which the model answers by itself, or {"role", "content"}, which stands as it is. A line that is
// a JSON string alone is a prompt that nothing is expected of but an end: what is seen of it is
// whether the model stops by itself.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/platform.h"
#include "engine/text/chat_template.h"
#include "engine/text/unicode.h"
#include "eval.h"
#include "generate.h"
#include "output.h"
#include "output_path.h"
#include "read_text.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

struct QaFlags {
  ModelFlags model;
  std::string file, chat_template, system, json;
  int64_t max_tokens = 300;
  uint32_t limit = 0;  ///< questions; 0 = all
};

struct Turn {
  ChatMessage message;
  bool answered_by_model = false;  ///< a reply of the model follows
};

struct Question {
  std::string question, category, system;
  std::vector<std::string> answers;  ///< empty: not scored
  std::vector<Turn> turns;
};

struct Answer {
  std::string text;
  bool right = false, stopped = true;  ///< stopped: ended by itself, within the limits
  bool fits = true;                    ///< the context has room for the conversation
  uint64_t tokens = 0;
};

/// Score of a category.
struct Score {
  uint64_t questions = 0, scored = 0, right = 0, stopped = 0, too_long = 0;
};

constexpr uint64_t kMostQuestions = 100'000;
constexpr size_t kLongestLine = 1u << 20;

Result<std::string> text_field(const Json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end()) return std::string();
  if (!found->is_string()) return fail(ErrorCode::BadFile, "\"{}\" is no text", key);
  return found->get<std::string>();
}

Result<std::vector<std::string>> texts_field(const Json& line, const char* key) {
  std::vector<std::string> texts;
  const auto found = line.find(key);
  if (found == line.end()) return texts;
  const Json list = found->is_array() ? *found : Json::array({*found});
  for (const Json& item : list) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty())
      return fail(ErrorCode::BadFile, "\"{}\" must hold texts that are not empty", key);
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<Turn> turn_of(const Json& item) {
  if (item.is_string()) return Turn{{ChatRole::User, item.get<std::string>()}, true};
  if (!item.is_object())
    return fail(ErrorCode::BadFile, "a turn must be a text or {{\"role\", \"content\"}}");
  PUMICE_TRY_ASSIGN(const std::string role, text_field(item, "role"));
  PUMICE_TRY_ASSIGN(std::string content, text_field(item, "content"));
  if (role == "user") return Turn{{ChatRole::User, std::move(content)}, false};
  if (role == "assistant") return Turn{{ChatRole::Assistant, std::move(content)}, false};
  return fail(ErrorCode::BadFile, "a turn's role is \"{}\"; expected user or assistant",
              printable(role, 40));
}

Result<Question> parse_question(const std::string& text) {
  const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (line.is_string()) return Question{line.get<std::string>(), "prompts", {}, {}, {}};
  if (!line.is_object())
    return fail(ErrorCode::BadFile, "expected one JSON object, or one string, in UTF-8");
  Question question;
  PUMICE_TRY_ASSIGN(question.question, text_field(line, "question"));
  PUMICE_TRY_ASSIGN(question.category, text_field(line, "category"));
  PUMICE_TRY_ASSIGN(question.system, text_field(line, "system"));
  PUMICE_TRY_ASSIGN(question.answers, texts_field(line, "answers"));
  PUMICE_TRY_ASSIGN(const std::vector<std::string> facts, texts_field(line, "fact"));
  question.answers.insert(question.answers.end(), facts.begin(), facts.end());
  if (question.question.empty()) return fail(ErrorCode::BadFile, "\"question\" is missing");
  if (question.answers.empty())
    return fail(ErrorCode::BadFile, "\"answers\" (or \"fact\") is missing");
  if (question.category.empty()) question.category = "all";
  if (const auto turns = line.find("turns"); turns != line.end()) {
    if (!turns->is_array()) return fail(ErrorCode::BadFile, "\"turns\" is no list");
    for (const Json& item : *turns) {
      PUMICE_TRY_ASSIGN(Turn turn, turn_of(item));
      question.turns.push_back(std::move(turn));
    }
  }
  return question;
}

Result<std::vector<Question>> read_questions(const std::string& path) {
  PUMICE_TRY_ASSIGN(std::string text, read_text(path));
  std::istringstream in(std::move(text));
  std::vector<Question> questions;
  std::string line;
  for (uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (line.size() > kLongestLine || questions.size() >= kMostQuestions)
      return fail(ErrorCode::BadFile, "{}: line {}: more than {} bytes or {} questions", path,
                  number, kLongestLine, kMostQuestions);
    auto question = parse_question(line);
    if (!question)
      return fail_in(fmt::format("{}: line {}", path, number), std::move(question.error()));
    questions.push_back(std::move(*question));
  }
  if (questions.empty()) return fail(ErrorCode::BadFile, "{}: holds no question", path);
  return questions;
}

/// What stands for an answer where the conversation is longer than the context: it counts as wrong.
std::string too_long(size_t tokens, uint32_t context) {
  return fmt::format("(no answer: {} tokens of conversation in a context of {}; see -c)", tokens,
                     context);
}

/// One conversation after another, each from an empty cache: no answer depends on the one before.
class Examiner {
 public:
  Examiner(Engine& engine, const ChatTemplate& chat, const QaFlags& flags)
      : engine_(engine), chat_(chat), flags_(flags) {
    options_.context = engine.plan().options.context;
    options_.max_tokens = flags.max_tokens;
    options_.trims_front = false;
  }

  tl::expected<Answer, Failure> ask(const Question& question) {
    std::vector<ChatMessage> messages;
    const std::string& system = question.system.empty() ? flags_.system : question.system;
    if (!system.empty()) messages.push_back({ChatRole::System, system});
    for (const Turn& turn : question.turns) {
      messages.push_back(turn.message);
      if (!turn.answered_by_model) continue;
      auto reply = answer(messages);
      if (!reply) return tl::unexpected<Failure>(std::move(reply.error()));
      messages.push_back({ChatRole::Assistant, reply->text});
    }
    messages.push_back({ChatRole::User, question.question});
    auto reply = answer(messages);
    if (!reply) return tl::unexpected<Failure>(std::move(reply.error()));
    Answer answer;
    answer.stopped = reply->end == ReplyEnd::ModelEnded;
    answer.fits = reply->end != ReplyEnd::ContextFull || reply->figures.tokens > 0;
    answer.tokens = reply->figures.tokens;
    const std::string folded = text::fold_case(reply->text);
    for (const std::string& wanted : question.answers)
      answer.right |=
          answer.tokens > 0 && folded.find(text::fold_case(wanted)) != std::string::npos;
    answer.text = std::move(reply->text);
    return answer;
  }

 private:
  tl::expected<Reply, Failure> answer(const std::vector<ChatMessage>& messages) {
    PUMICE_TRY_ASSIGN(const std::vector<int32_t> prompt,
                      encode_chat(engine_.tokenizer(), chat_, messages, true));
    if (prompt.size() >= engine_.plan().options.context) {
      Reply reply;
      reply.text = too_long(prompt.size(), engine_.plan().options.context);
      reply.end = ReplyEnd::ContextFull;
      return reply;
    }
    Session session(Conversation(engine_.tokenizer(), chat_, options_), 0, {});
    PUMICE_TRY(session.conversation().say_tokens(prompt, {}));
    auto reply = generate(engine_, session, [](std::string_view) { return Outcome(); });
    if (reply && reply->end == ReplyEnd::Stopped)
      return tl::unexpected<Failure>(Failure(kFailed, "interrupted"));
    return reply;
  }

  Engine& engine_;
  const ChatTemplate& chat_;
  const QaFlags& flags_;
  ConversationOptions options_;
};

bool is_failure(const Question& question, const Answer& answer) {
  return question.answers.empty() ? !answer.stopped : !answer.right;
}

std::string failure_text(const Question& question, const Answer& answer) {
  std::string wanted;
  for (const std::string& text : question.answers)
    wanted += fmt::format("{}\"{}\"", wanted.empty() ? "" : " or ", printable(text));
  return fmt::format("wrong [{}] {}\n  expected {}\n  answered {}{}\n",
                     printable(question.category), printable(question.question, 400),
                     wanted.empty() ? "an end" : wanted, printable(answer.text, 1000),
                     answer.stopped ? "" : " ... (did not stop)");
}

using Scores = std::vector<std::pair<std::string, Score>>;  ///< first seen first, "total" last

Result<ChatTemplate> required_chat_format(const Tokenizer& tokenizer, const std::string& name) {
  PUMICE_TRY_ASSIGN(std::optional<ChatTemplate> format, choose_chat_format(tokenizer, name));
  if (!format) return ChatTemplate::recognise(tokenizer);  // says what is missing
  return std::move(*format);
}

Scores scores_of(const std::vector<Question>& questions, const std::vector<Answer>& answers) {
  Scores scores;
  Score total;
  for (size_t i = 0; i < answers.size(); ++i) {
    auto found = std::find_if(scores.begin(), scores.end(),
                              [&](const auto& row) { return row.first == questions[i].category; });
    if (found == scores.end()) found = scores.insert(scores.end(), {questions[i].category, {}});
    for (Score* score : {&found->second, &total}) {
      ++score->questions;
      score->scored += !questions[i].answers.empty();
      score->right += answers[i].right;
      score->stopped += answers[i].stopped;
      score->too_long += !answers[i].fits;
    }
  }
  scores.emplace_back("total", total);
  return scores;
}

std::string percent(uint64_t hits, uint64_t n) {
  return n == 0 ? "-" : fmt::format("{:.1f}", 100 * double(hits) / double(n));
}

/// Of what does not fit the context nobody can see whether it would have stopped.
std::string score_table(const Scores& scores) {
  std::string out =
      fmt::format("{:<24} {:>9} {:>7} {:>8} {:>18} {:>20} {:>9}\n", "category", "questions",
                  "right", "right, %", "95 % interval, %", "stopped by itself, %", "too long");
  for (const auto& [category, score] : scores) {
    const quant::Interval interval = quant::wilson(score.right, score.scored);
    const bool any = score.scored != 0;
    out += fmt::format(
        "{:<24} {:>9} {:>7} {:>8} {:>18} {:>20} {:>9}\n", printable(category, 24), score.questions,
        any ? fmt::format("{}", score.right) : "-", percent(score.right, score.scored),
        any ? fmt::format("{:.1f} to {:.1f}", 100 * interval.low, 100 * interval.high) : "-",
        percent(score.stopped, score.questions - score.too_long), score.too_long);
  }
  return out;
}

Json report_json(const QaFlags& flags, const std::string& policy,
                 const std::vector<Question>& questions, const std::vector<Answer>& answers) {
  Json json = {{"evaluation", "qa"},
               {"model", flags.model.model},
               {"file", flags.file},
               {"policy", policy},
               {"max_tokens", flags.max_tokens}};
  json["scores"] = Json::array();
  for (const auto& [category, score] : scores_of(questions, answers)) {
    const quant::Interval interval = quant::wilson(score.right, score.scored);
    json["scores"].push_back({{"category", category},
                              {"questions", score.questions},
                              {"scored", score.scored},
                              {"right", score.right},
                              {"interval", Json::array({interval.low, interval.high})},
                              {"stopped", score.stopped},
                              {"too_long", score.too_long}});
  }
  json["answers"] = Json::array();
  for (size_t i = 0; i < answers.size(); ++i)
    json["answers"].push_back({{"question", questions[i].question},
                               {"category", questions[i].category},
                               {"answer", answers[i].text},
                               {"right", answers[i].right},
                               {"stopped", answers[i].stopped},
                               {"fits", answers[i].fits},
                               {"tokens", answers[i].tokens}});
  return json;
}

Outcome examine(QaFlags flags) {
  if (Outcome found = find_model(flags.model.hub, flags.model.model); !found) return found;
  Result<LoadOptions> load = load_options(flags.model);
  if (!load) return usage("{}", load.error().text);
  count_interrupts();
  const std::string inputs[] = {flags.model.model, flags.file};
  PUMICE_TRY(check_output_path("--json", flags.json == "-" ? "" : flags.json, inputs));
  PUMICE_TRY_ASSIGN(std::vector<Question> questions, read_questions(flags.file));
  if (flags.limit != 0 && flags.limit < questions.size()) questions.resize(flags.limit);
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(*load));
  PUMICE_TRY_ASSIGN(const ChatTemplate chat,
                    required_chat_format(engine->tokenizer(), flags.chat_template));
  Examiner examiner(*engine, chat, flags);
  std::vector<Answer> answers;
  std::string failures;
  {
    ProgressBar bar("questions", 1);
    for (const Question& question : questions) {
      if (!bar.show(answers.size(), questions.size()))
        return tl::unexpected<Failure>(Failure(kFailed, "interrupted"));
      auto answer = examiner.ask(question);
      if (!answer)
        return tl::unexpected<Failure>(
            Failure(answer.error().exit, fmt::format("question {} of {}: {}", answers.size() + 1,
                                                     flags.file, answer.error().text)));
      if (flags.model.verbose && is_failure(question, *answer))
        failures += failure_text(question, *answer);
      answers.push_back(std::move(*answer));
    }
  }
  PUMICE_TRY(check_validation(*engine));
  const std::string policy = describe(engine->plan().policy);
  const std::string head =
      fmt::format("{} on {}; {}, greedy, at most {} tokens\n\n", printable(flags.model.model),
                  printable(flags.file), policy, flags.max_tokens);
  return write_report(flags.json, failures + head + score_table(scores_of(questions, answers)),
                      report_json(flags, policy, questions, answers));
}

}  // namespace

Action add_eval_qa(CLI::App& app) {
  auto flags = std::make_shared<QaFlags>();
  add_model_flags(app, flags->model);
  app.add_option("file", flags->file,
                 "Questions, a JSON object a line; or prompts, a JSON string a line")
      ->required();
  app.add_option("--limit", flags->limit, "Ask the first so many (0: all)");
  app.add_option("--max-tokens", flags->max_tokens, "Most tokens of an answer")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 20))
      ->capture_default_str();
  app.add_option("--system", flags->system, "System text where a question has none");
  app.add_option("--chat-template", flags->chat_template,
                 "Chat format: " + ChatTemplate::names() + " (default: the file's)");
  app.add_option("--json", flags->json, "Write all answers as JSON to a file (-: stdout, alone)");
  return [flags] { return examine(*flags); };
}

}  // namespace pumice::command
