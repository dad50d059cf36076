// A conversation that runs on one sequence of an engine: what the cache holds of it, sampling, and
// the figures of a reply.
#pragma once

#include <atomic>
#include <vector>

#include "engine/session/conversation.h"
#include "engine/session/engine.h"

namespace pumice {

/// Of the last reply, or of the one being written.
struct ReplyFigures {
  uint32_t prompt_tokens = 0;  ///< read for it; what the cache held already is not counted
  uint32_t tokens = 0;         ///< of the reply
  uint32_t steps = 0;          ///< of the model after the first token
  double prompt_seconds = 0;   ///< of work until the first token, waits for the device included
  double decode_seconds = 0;   ///< after it
  double last_seconds = 0;     ///< of the last token
  double host_us = 0;          ///< beside the waits, all decode steps together
  uint64_t logits_hash = 0;    ///< over every sampled row
};

/// BadArgument for a setting that is no number or outside its range, with its name.
[[nodiscard]] Result<void> check_sampling(const SamplingOptions& sampling);

class Session {
 public:
  /// On a sequence that nobody else uses.
  Session(Conversation conversation, uint32_t sequence, const SamplingOptions& sampling)
      : conversation_(std::move(conversation)), sequence_(sequence), sampling_(sampling) {}

  [[nodiscard]] Conversation& conversation() { return conversation_; }
  [[nodiscard]] const Conversation& conversation() const { return conversation_; }
  [[nodiscard]] const SamplingOptions& sampling() const { return sampling_; }
  [[nodiscard]] const ReplyFigures& figures() const { return figures_; }
  [[nodiscard]] uint32_t sequence() const { return sequence_; }
  /// Tokens of the conversation that the model has not read.
  [[nodiscard]] uint32_t unread_tokens() const;

  /// As Conversation's; a stop that was asked for before does not concern what is said now.
  [[nodiscard]] Result<void> say(ChatRole role, std::string_view text);
  [[nodiscard]] Result<void> rewind(size_t count);
  /// Ends the reply at the next chance; from any thread.
  void request_stop() { stop_ = true; }
  /// What was asked for before another conversation was put in.
  void forget_stop() { stop_ = false; }

  /// Tokens of the conversation, from its beginning, that the cache holds.
  [[nodiscard]] uint32_t cached_tokens() const;
  /// The engine's cache holds so many tokens of the conversation, put there by write_cache.
  void adopt_cache(uint32_t tokens);

  /// From the next token on.
  void set_sampling(const SamplingOptions& sampling);
  /// Another engine holds the sequence from now on, and nothing of it is in the cache.
  void forget_cache();

  /// Reads or writes until `budget_us` of the caller's time are used up, whole tokens where steps
  /// of the engine are not cut. Nothing to do is not an error. After an error the conversation is
  /// as before the token that failed.
  [[nodiscard]] Result<void> step(Engine& engine, double budget_us);
  /// The same up to one token.
  [[nodiscard]] Result<void> advance(Engine& engine, double budget_us);

  // ---- the parts of advance, for who drives the engine otherwise
  /// Begins a step of the engine where there is something to do and none in progress. False: there
  /// is nothing to do.
  [[nodiscard]] Result<bool> begin(Engine& engine);
  /// The engine's step is finished and has given this.
  void finish(const Engine& engine, const Sampled& sampled);
  /// Microseconds that somebody else had the device work for the step in progress.
  void add_time(double us) { step_us_ += us; }
  /// Stops the reply if that was asked for. Ends the step in progress where the conversation has
  /// changed since, and says whether there was one.
  bool drop_stale_step(Engine& engine);
  /// From begin to finish; a step that an error ended, or that somebody discarded, is dropped.
  [[nodiscard]] bool in_step() const { return in_step_; }
  void drop_step() { in_step_ = false; }

 private:
  void prepare(Engine& engine);
  [[nodiscard]] bool step_is_current() const;
  void count(const Engine& engine);

  Conversation conversation_;
  uint32_t sequence_;
  SamplingOptions sampling_;
  std::vector<int32_t> cached_;  ///< what the engine's cache holds
  uint64_t revision_ = 0;        ///< of the conversation, when cached_ was its beginning
  bool fresh_ = true;            ///< the engine lacks sampling settings and history

  bool in_step_ = false;
  size_t step_end_ = 0;  ///< tokens of the conversation that the step in progress reads up to
  double step_us_ = 0;

  std::atomic<bool> stop_ = false;
  ReplyFigures figures_;
};

}  // namespace pumice
