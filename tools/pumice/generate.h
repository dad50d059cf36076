// One reply: a session is stepped, text comes out piece by piece, with the figures that `run`
// prints.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "command.h"
#include "engine/session/session.h"

namespace pumice::command {

struct Reply {
  std::string text;
  ReplyEnd end = ReplyEnd::ModelEnded;
  ReplyFigures figures;
};

/// Whole characters, as soon as they are certain. A failure ends the reply.
using TextSink = std::function<Outcome(std::string_view text)>;

/// Steps a session whose last message waits for an answer until it is there or Ctrl-C comes
/// (ReplyEnd::Stopped; Cancelled if nothing has been written).
[[nodiscard]] tl::expected<Reply, Failure> generate(Engine& engine, Session& session,
                                                    const TextSink& sink);

/// The figures of a reply and of the load, for stderr and for --json.
[[nodiscard]] std::string statistics_text(Engine& engine, const Reply& reply, uint64_t seed);
[[nodiscard]] nlohmann::ordered_json statistics_json(Engine& engine, const Reply& reply,
                                                     uint64_t seed);

/// The configuration that is in force, for --verbose.
[[nodiscard]] std::string configuration_text(Engine& engine, const SamplingOptions& sampling);

/// Fails when the validation layer had something to say, with its first message.
[[nodiscard]] Result<void> check_validation(Engine& engine);

}  // namespace pumice::command
