// Exact logits of a reference model in a file: f32 rows of the scored positions, with the tokens
// they belong to, so that a reference runs once and its file serves many evaluations.
//
// Layout, little-endian: the header words of reference_file.cpp, the name padded to 8 bytes, i32
// tokens[chunks][context] padded to 64, f32 rows[chunks][scored][n_vocab].
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/evaluation_text.h"
#include "engine/quant/logit_source.h"
#include "loader/byte_source.h"

namespace pumice::quant {

/// Of the pieces of a vocabulary.
[[nodiscard]] uint64_t vocabulary_hash(const Tokenizer& tokenizer);

/// Writes PATH.part and renames it when whole.
class ReferenceWriter {
 public:
  /// Io when the folder cannot be written or the disk has no room for all of it.
  [[nodiscard]] static Result<ReferenceWriter> create(const std::string& path,
                                                      const std::string& model, uint32_t n_vocab,
                                                      uint64_t vocabulary,
                                                      const EvaluationText& text);
  ReferenceWriter(ReferenceWriter&&) = default;
  ReferenceWriter& operator=(ReferenceWriter&&) = delete;
  ~ReferenceWriter();  ///< removes an unfinished file

  [[nodiscard]] Result<void> write(const LogitsView& rows);
  [[nodiscard]] Result<void> finish();

 private:
  ReferenceWriter() = default;
  std::string path_, part_;
  std::ofstream out_;
  uint32_t n_vocab_ = 0;
  uint64_t rows_left_ = 0;
};

class ReferenceFile final : public LogitSource {
 public:
  /// True for files that begin as one of these.
  [[nodiscard]] static bool recognise(const std::string& path);
  /// NotFound, Io; BadFile with the field that is wrong, what was expected and found.
  [[nodiscard]] static Result<ReferenceFile> open(const std::string& path);

  /// The text it was made from, as the tokens that it holds.
  [[nodiscard]] const EvaluationText& text() const { return text_; }
  [[nodiscard]] const std::string& model() const { return model_; }  ///< name of the reference
  /// BadArgument naming what differs between `text` and what the file was made from: the size of
  /// chunks, their number (a file may hold more), what is scored, or the first other token.
  [[nodiscard]] Result<void> check_text(const EvaluationText& text) const;
  /// BadArgument when the file was made with another vocabulary.
  [[nodiscard]] Result<void> check_vocabulary(const Tokenizer& tokenizer, uint32_t n_vocab) const;

  [[nodiscard]] const std::string& name() const override { return bytes_->name(); }
  [[nodiscard]] uint32_t n_vocab() const override { return n_vocab_; }
  [[nodiscard]] uint32_t most_rows() const override;
  [[nodiscard]] Result<LogitsView> rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                        uint32_t count) override;

 private:
  ReferenceFile() = default;
  std::shared_ptr<const ByteSource> bytes_;
  EvaluationText text_;
  std::string model_;
  uint32_t n_vocab_ = 0;
  uint64_t vocabulary_ = 0, rows_at_ = 0;
  std::vector<float> shown_;  ///< the rows of the last call
};

}  // namespace pumice::quant
