// A source of made-up logits: functions of (chunk, position, token).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/quant/logit_source.h"

namespace pumice::quant {

class MadeUpSource final : public LogitSource {
 public:
  using Logit = std::function<float(uint32_t chunk, uint32_t position, uint32_t token)>;
  MadeUpSource(std::string name, uint32_t n_vocab, uint32_t most_rows, Logit logit)
      : name_(std::move(name)),
        n_vocab_(n_vocab),
        most_rows_(most_rows),
        logit_(std::move(logit)) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint32_t n_vocab() const override { return n_vocab_; }
  [[nodiscard]] uint32_t most_rows() const override { return most_rows_; }
  [[nodiscard]] Result<LogitsView> rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                        uint32_t count) override {
    const uint32_t stride = n_vocab_ + 3;  // what lies between rows is no logit
    shown_.assign(size_t(count) * stride, 1e30f);
    for (uint32_t i = 0; i < count; ++i)
      for (uint32_t token = 0; token < n_vocab_; ++token)
        shown_[size_t(i) * stride + token] = logit_(chunk, text.first_scored + first + i, token);
    return LogitsView{shown_.data(), count, n_vocab_, stride};
  }

 private:
  std::string name_;
  uint32_t n_vocab_, most_rows_;
  Logit logit_;
  std::vector<float> shown_;
};

/// A number in [-1, 1) that looks random.
inline float scatter(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t x = a * 0x9E3779B1u ^ b * 0x85EBCA6Bu ^ c * 0xC2B2AE35u;
  x = (x ^ (x >> 15)) * 0x2C1B3C6Du;
  x = (x ^ (x >> 12)) * 0x297A2D39u;
  return float(x >> 8) * 0x1p-23f - 1.0f;
}

/// Tokens (7 i) mod n_vocab in chunks.
inline EvaluationText made_up_text(uint32_t n_vocab, uint32_t chunks, uint32_t context = 16,
                                   bool score_all = false) {
  std::vector<int32_t> tokens(size_t(chunks) * context);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = int32_t(i * 7 % n_vocab);
  return *cut_chunks(std::move(tokens), -1, {context, 0, score_all}, "made up");
}

}  // namespace pumice::quant
