// Behind the public header: sessions. Checks arguments and translates; no logic.
#include <string>

#include "engine/pumice_border.h"
#include "engine/pumice_objects.h"

namespace {

using namespace pumice;
using namespace pumice::border;

// The enums of the header and of the session agree by value.
static_assert(int(Activity::Idle) == PM_IDLE && int(Activity::Reading) == PM_READING &&
              int(Activity::Writing) == PM_WRITING);
static_assert(int(ReplyEnd::None) == PM_NOT_ENDED && int(ReplyEnd::ModelEnded) == PM_ENDED &&
              int(ReplyEnd::StopText) == PM_STOP_TEXT && int(ReplyEnd::Limit) == PM_TOKEN_LIMIT &&
              int(ReplyEnd::ContextFull) == PM_CONTEXT_LIMIT &&
              int(ReplyEnd::Stopped) == PM_STOPPED);
static_assert(int(ChatRole::System) == PM_SYSTEM && int(ChatRole::User) == PM_USER &&
              int(ChatRole::Assistant) == PM_ASSISTANT);

constexpr pm_sampling kDefaultSampling = PM_SAMPLING_DEFAULTS;

Result<SamplingOptions> sampling_of(const char* call, const pm_sampling& given) {
  SamplingOptions sampling;
  sampling.temperature = given.temperature;
  sampling.top_k = given.top_k;
  sampling.top_p = given.top_p == 0.0f ? 1.0f : given.top_p;
  sampling.min_p = given.min_p;
  sampling.repeat_penalty = given.repeat_penalty == 0.0f ? 1.0f : given.repeat_penalty;
  sampling.repeat_last = given.repeat_last == 0 ? 64 : given.repeat_last;
  sampling.seed = given.seed;
  if (auto usable = check_sampling(sampling); !usable)
    return fail_in(call, std::move(usable.error()));
  return sampling;
}

int64_t max_tokens_of(const Conversation& conversation, const pm_sampling& given) {
  if (given.max_tokens != 0) return given.max_tokens;
  return conversation.format_name() == "none" ? Conversation::kPlainTokens : -1;
}

Result<std::unique_ptr<pm_session>> open_session(const char* call, pm_model& model,
                                                 const pm_session_options& given) {
  PUMICE_TRY_ASSIGN(const pm_sampling settings,
                    read_struct(call, given.sampling ? given.sampling : &kDefaultSampling));
  PUMICE_TRY_ASSIGN(const SamplingOptions sampling, sampling_of(call, settings));
  ConversationOptions options;
  if (given.stop_count > 0) PUMICE_TRY(require(call, {{"stops", given.stops}}));
  for (uint32_t i = 0; i < given.stop_count; ++i) {
    PUMICE_TRY_ASSIGN(const std::string_view stop,
                      text_of(call, "a text of stops", given.stops[i]));
    options.stops.emplace_back(stop);
  }
  PUMICE_TRY_ASSIGN(auto loaded, model.shared->text_of_loaded());
  options.context = loaded.second;
  PUMICE_TRY_ASSIGN(auto format, choose_chat_format(
                                     loaded.first, given.chat_template ? given.chat_template : ""));
  Conversation conversation(std::move(loaded.first), std::move(format), std::move(options));
  conversation.set_max_tokens(max_tokens_of(conversation, settings));
  PUMICE_TRY_ASSIGN(auto place, model.shared->take_place());
  return std::make_unique<pm_session>(std::move(place), std::move(conversation), sampling);
}

}  // namespace

pm_status pm_session_open(pm_model* model, const pm_session_options* options, pm_session** session,
                          pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_open", {{"model", model}, {"session", session}}));
    PUMICE_TRY_ASSIGN(const pm_session_options given, read_struct("pm_session_open", options));
    PUMICE_TRY_ASSIGN(auto made, open_session("pm_session_open", *model, given));
    *session = made.release();
    return {};
  });
}

void pm_session_close(pm_session* session) {
  delete session;
}

pm_status pm_session_set_sampling(pm_session* session, const pm_sampling* sampling,
                                  pm_error* error) {
  constexpr const char* kCall = "pm_session_set_sampling";
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require(kCall, {{"session", session}, {"sampling", sampling}}));
    PUMICE_TRY_ASSIGN(const pm_sampling given, read_struct(kCall, sampling));
    PUMICE_TRY_ASSIGN(const SamplingOptions usable, sampling_of(kCall, given));
    Conversation& conversation = session->session.conversation();
    conversation.set_max_tokens(max_tokens_of(conversation, given));
    session->session.set_sampling(usable);
    return {};
  });
}

pm_status pm_session_say(pm_session* session, pm_role role, const char* text, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_say", {{"session", session}}));
    PUMICE_TRY_ASSIGN(const std::string_view said, text_of("pm_session_say", "text", text));
    if (role != PM_SYSTEM && role != PM_USER && role != PM_ASSISTANT)
      return fail(ErrorCode::BadArgument, "pm_session_say: there is no role {}", int(role));
    return session->session.say(ChatRole(role), said);
  });
}

pm_status pm_session_step(pm_session* session, uint32_t budget_us, pm_activity* activity,
                          pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_step", {{"session", session}}));
    const double budget = budget_us == UINT32_MAX ? kNoBudget : double(budget_us);
    PUMICE_TRY(session->place->model().step(*session->place, session->session, budget));
    if (activity) *activity = pm_activity(session->session.conversation().activity());
    return {};
  });
}

pm_status pm_session_read(pm_session* session, char* buffer, size_t capacity, size_t* length) {
  return guarded(nullptr, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_read", {{"session", session}, {"buffer", buffer}}));
    if (capacity < 5)
      return fail(ErrorCode::BadArgument, "pm_session_read: capacity {}; 5 are needed", capacity);
    Conversation& conversation = session->session.conversation();
    // Not strlen: a model may write U+0000, behind which nothing would ever be read.
    const size_t bytes = copy_text({buffer, capacity}, conversation.unread());
    conversation.take_unread(bytes);
    if (length) *length = bytes;
    return {};
  });
}

void pm_session_stop(pm_session* session) {
  if (session) session->session.request_stop();
}

uint32_t pm_session_count(const pm_session* session) {
  return session ? uint32_t(session->session.conversation().messages().size()) : 0;
}

pm_status pm_session_message(const pm_session* session, uint32_t index, pm_message* message,
                             pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_message", {{"session", session}, {"message", message}}));
    const std::span<const Message> messages = session->session.conversation().messages();
    if (index >= messages.size())
      return fail(ErrorCode::BadArgument, "pm_session_message: no message {}; there are {}", index,
                  messages.size());
    pm_message full = {};
    full.role = pm_role(messages[index].role);
    full.ending = pm_ending(messages[index].end);
    full.tokens = uint32_t(messages[index].tokens.size());
    full.text = messages[index].text.c_str();
    return write_struct("pm_session_message", message, full);
  });
}

pm_status pm_session_rewind(pm_session* session, uint32_t count, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_rewind", {{"session", session}}));
    return session->session.rewind(count);
  });
}

pm_status pm_session_describe(const pm_session* session, pm_session_info* info, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_describe", {{"session", session}, {"info", info}}));
    const Conversation& conversation = session->session.conversation();
    const ReplyFigures& figures = session->session.figures();
    pm_session_info full = {};
    full.activity = pm_activity(conversation.activity());
    full.context = conversation.options().context;
    full.tokens = std::min(uint32_t(conversation.tokens().size()), full.context);
    full.unread = session->session.unread_tokens();
    if (!conversation.messages().empty() && conversation.messages().back().by_model)
      full.ending = pm_ending(conversation.messages().back().end);
    full.prompt_tokens = figures.prompt_tokens;
    full.answer_tokens = figures.tokens;
    full.prompt_seconds = figures.prompt_seconds;
    full.answer_seconds = figures.decode_seconds;
    if (figures.decode_seconds > 0) full.tokens_per_second = figures.steps / figures.decode_seconds;
    full.seconds_per_token = figures.last_seconds;
    return write_struct("pm_session_describe", info, full);
  });
}

pm_status pm_session_save(const pm_session* session, uint32_t flags, void* buffer, size_t capacity,
                          size_t* size, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_save", {{"session", session}, {"size", size}}));
    if ((flags & ~uint32_t{PM_SAVE_CACHE}) != 0)
      return fail(ErrorCode::BadArgument, "pm_session_save: flags {:#x} are unknown", flags);
    PUMICE_TRY_ASSIGN(const std::vector<std::byte> state,
                      session->place->model().save(*session->place, session->session, flags != 0));
    if (buffer && capacity >= state.size()) std::memcpy(buffer, state.data(), state.size());
    *size = state.size();
    return {};
  });
}

pm_status pm_session_load(pm_session* session, const void* state, size_t size, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_load", {{"session", session}, {"state", state}}));
    const std::span bytes(static_cast<const std::byte*>(state), size);
    return session->place->model().restore(*session->place, session->session, bytes);
  });
}
