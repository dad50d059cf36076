// Which positions of a conversation predict what the model itself is to say.
#pragma once

#include "engine/quant/evaluation_text.h"

namespace pumice::command {

inline constexpr const char* kRepliesOption =
    "Score what the model says: the replies of conversations, in its chat format";

/// Lets only those positions of a text count whose next token belongs to a reply, its end included,
/// in the chat format of the vocabulary. The text was cut with ChunkOptions::score_all.
/// BadArgument where there is no reply.
[[nodiscard]] Result<void> count_replies(quant::EvaluationText& text, const Tokenizer& tokenizer);

}  // namespace pumice::command
