// Model files that a test makes itself: a llama, or a gemma2 with a window, with rows of several
// super-blocks.
#pragma once

#include <filesystem>
#include <random>
#include <string>

#include "tests/rows/blocks.h"

namespace pumice::test {

struct ModelShape {
  const char* architecture = "llama";
  uint32_t embd = 256, ff = 256, heads = 4, kv_heads = 2, head = 32, layers = 2, vocab = 100;
  uint32_t window = 0;   ///< gemma2: on every second layer
  uint32_t experts = 0;  ///< llama: 0 = dense, else 2 of them are used
};

/// The mix of types is that of a usual k-quant file.
inline GgufWriter make_model(const ModelShape& shape) {
  GgufWriter file;
  const std::string arch = shape.architecture;
  const bool gemma = arch == "gemma2";
  file.set("general.architecture", arch).set("tokenizer.ggml.model", std::string("none"));
  const std::pair<const char*, uint32_t> keys[] = {
      {"block_count", shape.layers},         {"context_length", 1024},
      {"embedding_length", shape.embd},      {"feed_forward_length", shape.ff},
      {"attention.head_count", shape.heads}, {"attention.head_count_kv", shape.kv_heads},
      {"attention.key_length", shape.head},  {"attention.value_length", shape.head},
      {"rope.dimension_count", shape.head},  {"vocab_size", shape.vocab}};
  for (const auto& [key, value] : keys) file.set(arch + "." + key, value);
  file.set(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
  if (shape.window != 0) file.set(arch + ".attention.sliding_window", shape.window);
  if (shape.experts != 0)
    file.set(arch + ".expert_count", shape.experts).set(arch + ".expert_used_count", 2u);
  add_random(file, "token_embd.weight", QuantType::Q8_0, {shape.embd, shape.vocab});
  add_random(file, "output_norm.weight", QuantType::F32, {shape.embd});
  if (!gemma) add_random(file, "output.weight", QuantType::Q6_K, {shape.embd, shape.vocab});

  const uint64_t q = uint64_t{shape.heads} * shape.head, kv = uint64_t{shape.kv_heads} * shape.head;
  for (uint32_t layer = 0; layer < shape.layers; ++layer) {
    const auto add = [&](const char* name, QuantType type, std::vector<uint64_t> dims) {
      add_random(file, "blk." + std::to_string(layer) + "." + name + ".weight", type,
                 std::move(dims));
    };
    add("attn_norm", QuantType::F32, {shape.embd});
    add("ffn_norm", QuantType::F32, {shape.embd});
    if (gemma) add("post_attention_norm", QuantType::F32, {shape.embd});
    if (gemma) add("post_ffw_norm", QuantType::F32, {shape.embd});
    add("attn_q", QuantType::Q4_K, {shape.embd, q});
    add("attn_k", QuantType::Q4_K, {shape.embd, kv});
    add("attn_v", layer == 0 ? QuantType::Q6_K : QuantType::Q4_K, {shape.embd, kv});
    add("attn_output", QuantType::Q5_0, {q, shape.embd});
    if (shape.experts != 0) {
      add("ffn_gate_inp", QuantType::F32, {shape.embd, shape.experts});
      add("ffn_gate_exps", QuantType::Q4_K, {shape.embd, shape.ff, shape.experts});
      add("ffn_up_exps", QuantType::Q4_K, {shape.embd, shape.ff, shape.experts});
      add("ffn_down_exps", QuantType::Q6_K, {shape.ff, shape.embd, shape.experts});
    } else {
      add("ffn_gate", QuantType::Q4_K, {shape.embd, shape.ff});
      add("ffn_up", QuantType::Q4_K, {shape.embd, shape.ff});
      add("ffn_down", QuantType::Q6_K, {shape.ff, shape.embd});
    }
  }
  return file;
}

/// A file that lives as long as the object.
class TemporaryModel {
 public:
  explicit TemporaryModel(const ModelShape& shape) {
    const std::string unique = std::to_string(std::random_device{}());
    path_ =
        (std::filesystem::temp_directory_path() / ("pumice-model-" + unique + ".gguf")).string();
    make_model(shape).write(path_);
  }
  ~TemporaryModel() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryModel(const TemporaryModel&) = delete;
  TemporaryModel& operator=(const TemporaryModel&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace pumice::test
