// Where logits rows of an evaluation come from: a model that runs, rows kept in memory, a file.
// Bounded: a source shows some rows at a time and forgets them at the next call.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/evaluation_text.h"
#include "engine/session/engine.h"

namespace pumice::quant {

class LogitSource {
 public:
  virtual ~LogitSource() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;  ///< for messages
  [[nodiscard]] virtual uint32_t n_vocab() const = 0;
  /// Rows that one call can show.
  [[nodiscard]] virtual uint32_t most_rows() const = 0;
  /// The rows of scored positions [first, first + count) of a chunk; position 0 is
  /// text.first_scored. Fast when asked for in ascending order. Valid until the next call.
  [[nodiscard]] virtual Result<LogitsView> rows(const EvaluationText& text, uint32_t chunk,
                                                uint32_t first, uint32_t count) = 0;
};

/// Options for an engine that evaluates chunks of `context`: whole chunks in steps of up to 512
/// tokens, with logits for the scored part of each.
[[nodiscard]] RunOptions evaluation_run(uint32_t context, ActivationType activations,
                                        CacheFormat cache);

/// A model that runs, on sequence 0 of an engine that the caller keeps.
class EngineSource final : public LogitSource {
 public:
  explicit EngineSource(Engine& engine) : engine_(engine), name_(engine.file().name()) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint32_t n_vocab() const override { return engine_.plan().graph.n_vocab; }
  [[nodiscard]] uint32_t most_rows() const override { return engine_.most_rows(); }
  [[nodiscard]] Result<LogitsView> rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                        uint32_t count) override;

 private:
  Engine& engine_;
  std::string name_;
  uint32_t chunk_ = UINT32_MAX;  ///< whose tokens the sequence holds
};

/// Called between steps with rows done and rows in all; false stops the work.
using EvaluationProgress = std::function<bool(uint64_t done, uint64_t total)>;

/// All rows of a text in memory.
class KeptLogits final : public LogitSource {
 public:
  /// Bytes that keeping takes.
  [[nodiscard]] static uint64_t bytes_for(const EvaluationText& text, uint32_t n_vocab);
  /// Runs `source` over the text. OutOfMemory when that takes more than `most_bytes`.
  [[nodiscard]] static Result<KeptLogits> keep(LogitSource& source, const EvaluationText& text,
                                               uint64_t most_bytes,
                                               const EvaluationProgress& progress = {});

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] uint32_t n_vocab() const override { return n_vocab_; }
  [[nodiscard]] uint32_t most_rows() const override { return UINT32_MAX; }
  [[nodiscard]] Result<LogitsView> rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                        uint32_t count) override;

 private:
  std::string name_;
  uint32_t n_vocab_ = 0;
  uint64_t tokens_hash_ = 0;
  std::vector<float> rows_;
};

/// Runs a source over a whole text and hands on its rows, in order.
using RowsSink =
    std::function<Result<void>(uint32_t chunk, uint32_t first, const LogitsView& rows)>;
[[nodiscard]] Result<void> for_all_rows(LogitSource& source, const EvaluationText& text,
                                        const EvaluationProgress& progress, const RowsSink& sink);

/// Identity of a cut text: its tokens and what is scored of them.
[[nodiscard]] uint64_t text_hash(const EvaluationText& text);
/// The same, and which positions count.
[[nodiscard]] uint64_t measurement_hash(const EvaluationText& text);

/// BadArgument naming the first token in which two vocabularies differ.
[[nodiscard]] Result<void> check_same_vocabulary(const Tokenizer& reference,
                                                 const Tokenizer& model);

}  // namespace pumice::quant
