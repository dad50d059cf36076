// Models of any shape without a file: llama architecture, weights that look like a trained model's
// to a kernel (scales of a normal distribution, every code in use) and mean nothing. For speed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/quant/mix.h"
#include "loader/gguf.h"

namespace pumice::command {

struct SyntheticShape {
  uint32_t layers = 0, width = 0, heads = 0, kv_heads = 0;
  uint32_t head = 0;  ///< elements of a head
  uint32_t ff = 0, vocab = 32'000, context = 131'072;
  bool tied = false;  ///< the embedding is the output matrix too
};

struct SyntheticSpec {
  std::string name;  ///< as given: "1B:q4_k_m"
  SyntheticShape shape;
  quant::TypeRequest types;
  uint32_t file_type = 0;  ///< what general.file_type says
};

/// "SHAPE:TYPE". SHAPE is one of synthetic_names(), or "layers=16,width=2048,heads=32" with, where
/// they are not the usual, kv, head, ff, vocab, context and tied. TYPE is a mix (q4_k_m), or a
/// quant type for every matrix (q4_k is the mix; "pure:q4_k" the type). BadArgument says what is
/// wrong.
[[nodiscard]] Result<SyntheticSpec> parse_synthetic(const std::string& text);
[[nodiscard]] std::string synthetic_names();  ///< "135M, 360M, 1B, ..."

/// False stops the work.
using SyntheticWatch = std::function<bool(uint64_t done, uint64_t total)>;

/// The model in memory of this process, made on all cores. The same bytes on every machine.
/// OutOfMemory where it is larger than what is free.
[[nodiscard]] Result<std::shared_ptr<const GgufFile>> make_synthetic(const SyntheticSpec& spec,
                                                                     const SyntheticWatch& watch);

/// The same bytes as a file; returns how many.
[[nodiscard]] Result<uint64_t> write_synthetic(const SyntheticSpec& spec, const std::string& path,
                                               const SyntheticWatch& watch);

}  // namespace pumice::command
