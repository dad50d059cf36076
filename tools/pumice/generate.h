// One reply: prompt ids in, text out piece by piece, with the figures that `run` prints.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "engine/session/engine.h"
#include "engine/text/chat_template.h"

namespace pumice::command {

enum class StopReason { ModelEnded, StopText, Limit, ContextFull, Interrupted };

struct Limits {
  int64_t n_predict = -1;            ///< negative = until the model ends
  std::vector<std::string> stops;    ///< texts that end a reply
  std::vector<int32_t> stop_tokens;  ///< beyond the vocabulary's own
};

struct Reply {
  std::string text;
  StopReason stop = StopReason::ModelEnded;
  std::vector<int32_t> not_yet_cached;  ///< tokens of the text that the sequence still lacks
  uint64_t prompt_tokens = 0, tokens = 0;
  double prompt_seconds = 0, decode_seconds = 0;
  double host_us = 0;        ///< beside the waits, all decode steps together
  uint64_t logits_hash = 0;  ///< over every sampled row
};

/// Whole characters, as soon as they are certain. A failure ends the reply.
using TextSink = std::function<Outcome(std::string_view text)>;

/// ContextFull when the sequence has no room for so many more tokens.
[[nodiscard]] Result<void> check_fits(const Engine& engine, uint32_t sequence, size_t tokens);

/// Appends the prompt (not empty) to the sequence and writes until something of Limits stops it.
[[nodiscard]] tl::expected<Reply, Failure> generate(Engine& engine, uint32_t sequence,
                                                    std::span<const int32_t> prompt,
                                                    const Limits& limits, const TextSink& sink);

/// The format a user names, or the file's own.
[[nodiscard]] Result<ChatTemplate> chat_template_for(const Tokenizer& tokenizer,
                                                     const std::string& name);

/// The control tokens with which replies of a format end.
[[nodiscard]] std::vector<int32_t> reply_end_tokens(const Tokenizer& tokenizer,
                                                    const ChatTemplate& chat);

/// The figures of a reply and of the load, for stderr and for --json.
[[nodiscard]] std::string statistics_text(Engine& engine, const Reply& reply, uint64_t seed);
[[nodiscard]] nlohmann::ordered_json statistics_json(Engine& engine, const Reply& reply,
                                                     uint64_t seed);

/// The configuration that is in force, for --verbose.
[[nodiscard]] std::string configuration_text(Engine& engine, const SamplingOptions& sampling);

/// Fails when the validation layer had something to say, with its first message.
[[nodiscard]] Result<void> check_validation(Engine& engine);

}  // namespace pumice::command
