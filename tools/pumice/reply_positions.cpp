// A chat model is trained on its replies alone; what it expects users to say means nothing.
#include "reply_positions.h"

#include <algorithm>

#include "engine/text/chat_template.h"
#include "output.h"

namespace pumice::command {

Result<void> count_replies(quant::EvaluationText& text, const Tokenizer& tokenizer) {
  PUMICE_TRY_ASSIGN(const ChatTemplate chat, ChatTemplate::recognise(tokenizer));
  EncodeOptions encode;
  encode.parse_special = true;
  PUMICE_TRY_ASSIGN(const std::vector<int32_t> head,
                    tokenizer.encode(chat.style().generation, encode));
  const int32_t end = tokenizer.find_control(chat.style().reply_end);
  std::vector<uint8_t> marks(text.scored(), 0);
  uint64_t found = 0;
  for (uint32_t chunk = 0; chunk < text.chunks; ++chunk) {
    const std::span<const int32_t> tokens = text.chunk(chunk);
    bool inside = false;
    for (uint32_t i = 0; i + 1 < text.context; ++i) {
      if (tokens[i] == end) inside = false;
      const bool begins =
          i + 1 >= head.size() &&
          std::ranges::equal(tokens.subspan(i + 1 - head.size(), head.size()), head);
      inside = inside || begins;
      if (!inside || i < text.first_scored) continue;
      marks[uint64_t{chunk} * text.scored_per_chunk() + i - text.first_scored] = 1;
      ++found;
    }
  }
  text.counted = std::move(marks);
  if (found != 0) return {};
  return fail(ErrorCode::BadArgument,
              "--replies: {} has no reply in its {} chunks, which would begin with the tokens of "
              "\"{}\"; special tokens can be given with --ids",
              text.name, text.chunks, printable(chat.style().generation));
}

}  // namespace pumice::command
