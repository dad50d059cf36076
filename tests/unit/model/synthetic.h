// A tiny model file of any architecture, made in memory, whose every key and tensor a test can
// replace or drop before it is written.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "loader/gguf.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {

struct Absent {};

using KeyValue =
    std::variant<Absent, uint32_t, int32_t, float, double, bool, std::string, std::vector<uint32_t>,
                 std::vector<int32_t>, std::vector<float>, std::vector<std::string>>;

struct SyntheticTensor {
  std::vector<uint64_t> shape;
  QuantType type = QuantType::F32;
  std::vector<float> values;  ///< empty: random, seeded by the name
};

class SyntheticModel {
 public:
  static constexpr uint32_t kLayers = 2, kEmbd = 16, kHeads = 2, kKv = 1, kHead = 8, kFf = 24;
  static constexpr uint32_t kVocab = 12, kContext = 64;

  explicit SyntheticModel(std::string architecture) : arch_(std::move(architecture)) {
    keys_["general.architecture"] = arch_;
    const std::pair<const char*, uint32_t> integers[] = {{"block_count", kLayers},
                                                         {"context_length", kContext},
                                                         {"embedding_length", kEmbd},
                                                         {"feed_forward_length", kFf},
                                                         {"attention.head_count", kHeads},
                                                         {"attention.head_count_kv", kKv},
                                                         {"attention.key_length", kHead},
                                                         {"attention.value_length", kHead},
                                                         {"vocab_size", kVocab}};
    for (const auto& [name, value] : integers) set(name, value);
    set("attention.layer_norm_rms_epsilon", 1e-5f);
    tensor("token_embd.weight", {kEmbd, kVocab});
    tensor("output.weight", {kEmbd, kVocab});
    tensor("output_norm.weight", {kEmbd});
    each_layer("attn_norm.weight", {kEmbd});
    each_layer("attn_q.weight", {kEmbd, kHeads * kHead});
    each_layer("attn_k.weight", {kEmbd, kKv * kHead});
    each_layer("attn_v.weight", {kEmbd, kKv * kHead});
    each_layer("attn_output.weight", {kHeads * kHead, kEmbd});
    each_layer("ffn_norm.weight", {kEmbd});
    each_layer("ffn_up.weight", {kEmbd, arch_ == "phi3" ? 2 * kFf : kFf});
    each_layer("ffn_down.weight", {kFf, kEmbd});
    if (arch_ != "phi3") each_layer("ffn_gate.weight", {kEmbd, kFf});
    if (arch_ == "qwen3" || arch_ == "gemma3") {
      each_layer("attn_q_norm.weight", {kHead});
      each_layer("attn_k_norm.weight", {kHead});
    }
    if (arch_.starts_with("gemma")) {
      each_layer("post_attention_norm.weight", {kEmbd});
      each_layer("post_ffw_norm.weight", {kEmbd});
    }
  }

  /// `key` without the architecture, or a whole key of "general." or "tokenizer.".
  SyntheticModel& set(const std::string& key, KeyValue value) {
    const bool whole = key.starts_with("general.") || key.starts_with("tokenizer.");
    keys_[whole ? key : arch_ + "." + key] = std::move(value);
    return *this;
  }
  SyntheticModel& tensor(const std::string& name, std::vector<uint64_t> shape,
                         QuantType type = QuantType::F32, std::vector<float> values = {}) {
    tensors_[name] = {std::move(shape), type, std::move(values)};
    return *this;
  }
  SyntheticModel& each_layer(const std::string& name, const std::vector<uint64_t>& shape) {
    for (uint32_t layer = 0; layer < kLayers; ++layer)
      tensor("blk." + std::to_string(layer) + "." + name, shape);
    return *this;
  }
  SyntheticModel& drop(const std::string& name) {
    tensors_.erase(name);
    return *this;
  }
  /// Replaces the dense feed-forward by experts.
  SyntheticModel& with_experts(uint32_t count, uint32_t used) {
    set("expert_count", count).set("expert_used_count", used);
    for (uint32_t layer = 0; layer < kLayers; ++layer)
      for (const char* name : {"ffn_gate", "ffn_up", "ffn_down"})
        drop("blk." + std::to_string(layer) + "." + name + ".weight");
    each_layer("ffn_gate_inp.weight", {kEmbd, count});
    each_layer("ffn_gate_exps.weight", {kEmbd, kFf, count});
    each_layer("ffn_up_exps.weight", {kEmbd, kFf, count});
    return each_layer("ffn_down_exps.weight", {kFf, kEmbd, count});
  }

  [[nodiscard]] std::map<std::string, SyntheticTensor>& tensors() { return tensors_; }

  [[nodiscard]] Result<std::shared_ptr<const GgufFile>> open() const {
    return open_gguf(own_memory("tiny.gguf", bytes()));
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    GgufWriter writer;
    for (const auto& [key, value] : keys_) write_key(writer, key, value);
    for (const auto& [name, t] : tensors_) {
      if (t.type != QuantType::F32)
        writer.tensor_zero(name, t.type, t.shape);
      else
        writer.tensor_f32(name, t.shape, t.values.empty() ? random(name, t.shape) : t.values);
    }
    return writer.bytes();
  }

  [[nodiscard]] static std::vector<float> random(const std::string& name,
                                                 const std::vector<uint64_t>& shape) {
    std::seed_seq seed(name.begin(), name.end());
    std::mt19937 numbers(seed);
    uint64_t n = 1;
    for (const uint64_t dim : shape) n *= dim;
    const double scale = shape.size() > 1 ? 2.0 / std::sqrt(double(shape[0])) : 1.0;
    std::vector<float> values;
    for (uint64_t i = 0; i < n; ++i)
      values.push_back(float(scale * (double(numbers()) / 0x1p31 - 1.0)));
    return values;
  }

 private:
  static void write_key(GgufWriter& writer, const std::string& key, const KeyValue& value) {
    std::visit(
        [&](const auto& v) {
          using T = std::remove_cvref_t<decltype(v)>;
          if constexpr (std::is_same_v<T, Absent>) {
          } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
            writer.set(key, v);
          } else {
            writer.set_array(key, v);
          }
        },
        value);
  }

  std::string arch_;
  std::map<std::string, KeyValue> keys_;
  std::map<std::string, SyntheticTensor> tensors_;
};

}  // namespace pumice::test
