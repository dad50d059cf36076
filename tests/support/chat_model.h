// A small model that can be talked with: random weights, a vocabulary of bytes, letters and a few
// characters of several bytes, the ChatML format.
#pragma once

#include "tests/support/sized_model.h"

namespace pumice::test {

struct Pieces {
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  void add(std::string text, int32_t type) {
    texts.push_back(std::move(text));
    types.push_back(type);
  }
};

/// <unk> <s> </s>, 256 bytes, two marks, "a".."z" with and without a space in front, and more.
inline Pieces chat_pieces() {
  constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
  Pieces pieces;
  pieces.add("<unk>", kUnknown);
  pieces.add("<s>", kControl);
  pieces.add("</s>", kControl);
  const char* digits = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b)
    pieces.add(std::string("<0x") + digits[b >> 4] + digits[b & 15] + ">", kByte);
  pieces.add("<|im_start|>", kControl);
  pieces.add("<|im_end|>", kControl);
  const std::string space = "\xE2\x96\x81";
  for (char c = 'a'; c <= 'z'; ++c) {
    pieces.add(std::string(1, c), kNormal);
    pieces.add(space + c, kNormal);
  }
  for (const char* text : {"\xC3\xA9", "\xE4\xB8\x96", "\xF0\x9F\x99\x82"})
    pieces.add(text, kNormal);
  pieces.add(space, kNormal);
  return pieces;
}

inline SyntheticModel chat_model(uint32_t context = 512) {
  const Pieces pieces = chat_pieces();
  const auto vocab = uint32_t(pieces.texts.size());
  SyntheticModel model = sized_model("llama", {.embd = 64,
                                               .heads = 4,
                                               .kv_heads = 2,
                                               .head = 16,
                                               .ff = 96,
                                               .vocab = vocab,
                                               .context = context});
  model.set("general.name", std::string("chat fixture"));
  model.set("tokenizer.ggml.model", std::string("llama"));
  model.set("tokenizer.ggml.tokens", pieces.texts);
  model.set("tokenizer.ggml.scores", std::vector<float>(vocab, 0.0f));
  model.set("tokenizer.ggml.token_type", pieces.types);
  model.set("tokenizer.ggml.bos_token_id", uint32_t(1));
  model.set("tokenizer.ggml.eos_token_id", uint32_t(2));
  model.set("tokenizer.chat_template",
            std::string("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                        "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"));
  return model;
}

}  // namespace pumice::test
