// A session as a few bytes, for save games: its messages, the half-written reply and the sampling
// settings. What the cache holds follows from that and is computed again, unless it is saved too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/session/session.h"
#include "loader/gguf.h"

namespace pumice {

/// Tells models apart: tensor table, vocabulary, and some bytes of every tensor.
[[nodiscard]] Result<uint64_t> model_fingerprint(const GgufFile& file);

/// What the model has read, as an engine's cache holds it (Engine::read_cache).
struct SavedCache {
  uint32_t tokens = 0;  ///< of the conversation, from its beginning
  uint64_t layout = 0;  ///< Engine::cache_layout
  std::vector<std::byte> bytes;
};

/// `cache` may be null.
[[nodiscard]] std::vector<std::byte> save_session(const Session& session, uint64_t fingerprint,
                                                  const SavedCache* cache = nullptr);

/// Replaces the session's conversation and sampling; returns the cache where one was saved.
/// BadFile: not such bytes, down to the last bit; BadArgument: of another model or chat format;
/// Unsupported: a version of the format that is newer than this library; ContextFull. The session
/// is as before after an error.
[[nodiscard]] Result<std::optional<SavedCache>> load_session(Session& session, uint64_t fingerprint,
                                                             std::span<const std::byte> state);

}  // namespace pumice
