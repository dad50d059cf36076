// Synthetic models (tests/unit/model/synthetic.h) of chosen size and weight type. Weights of types
// other than f32 are zeros: for plans and shapes, not for values.
#pragma once

#include "tests/unit/model/synthetic.h"

namespace pumice::test {

struct ModelSize {
  uint32_t embd = 256, heads = 4, kv_heads = 2, head = 64, ff = 512, vocab = 64, context = 1024;
  QuantType type = QuantType::F32;
  bool biases = false;   ///< on q, k and v
  uint32_t experts = 0;  ///< two of them used; 0 = a dense feed-forward
};

inline SyntheticModel sized_model(const std::string& arch, const ModelSize& size) {
  SyntheticModel model(arch);
  const std::pair<const char*, uint32_t> keys[] = {
      {"context_length", size.context},           {"embedding_length", size.embd},
      {"feed_forward_length", size.ff},           {"attention.head_count", size.heads},
      {"attention.head_count_kv", size.kv_heads}, {"attention.key_length", size.head},
      {"attention.value_length", size.head},      {"vocab_size", size.vocab}};
  for (const auto& [name, value] : keys) model.set(name, value);
  if (size.experts != 0) model.with_experts(size.experts, 2);
  const auto resize = [&](const std::string& name, std::vector<uint64_t> shape) {
    const auto found = model.tensors().find(name);
    if (found == model.tensors().end()) return;
    const bool vector = shape.size() == 1 || name.find("gate_inp") != std::string::npos;
    found->second = {std::move(shape), vector ? QuantType::F32 : size.type, {}};
  };
  const uint64_t q = uint64_t{size.heads} * size.head, kv = uint64_t{size.kv_heads} * size.head;
  resize("token_embd.weight", {size.embd, size.vocab});
  resize("output.weight", {size.embd, size.vocab});
  resize("output_norm.weight", {size.embd});
  for (uint32_t layer = 0; layer < SyntheticModel::kLayers; ++layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    for (const char* name : {"attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm"})
      resize(at + name + ".weight", {size.embd});
    for (const char* name : {"attn_q_norm", "attn_k_norm"})
      resize(at + name + ".weight", {size.head});
    resize(at + "attn_q.weight", {size.embd, q});
    resize(at + "attn_k.weight", {size.embd, kv});
    resize(at + "attn_v.weight", {size.embd, kv});
    resize(at + "attn_output.weight", {q, size.embd});
    resize(at + "ffn_gate.weight", {size.embd, size.ff});
    resize(at + "ffn_up.weight", {size.embd, arch == "phi3" ? 2 * size.ff : size.ff});
    resize(at + "ffn_down.weight", {size.ff, size.embd});
    resize(at + "ffn_gate_inp.weight", {size.embd, size.experts});
    resize(at + "ffn_gate_exps.weight", {size.embd, size.ff, size.experts});
    resize(at + "ffn_up_exps.weight", {size.embd, size.ff, size.experts});
    resize(at + "ffn_down_exps.weight", {size.ff, size.embd, size.experts});
    if (!size.biases) continue;
    model.tensor(at + "attn_q.bias", {q});
    model.tensor(at + "attn_k.bias", {kv}).tensor(at + "attn_v.bias", {kv});
  }
  return model;
}

/// A SentencePiece vocabulary of `size` pieces, the first three being <unk>, <s> and </s>.
inline SyntheticModel& add_vocabulary(SyntheticModel& model, uint32_t size) {
  std::vector<std::string> pieces{"<unk>", "<s>", "</s>"};
  std::vector<float> scores(size, 0.0f);
  std::vector<int32_t> types(size, 1);
  types[0] = 2;
  types[1] = types[2] = 3;
  for (uint32_t i = 3; i < size; ++i) {
    pieces.push_back("w" + std::to_string(i));
    scores[i] = -float(i);
  }
  model.set("tokenizer.ggml.model", std::string("llama"));
  model.set("tokenizer.ggml.tokens", pieces).set("tokenizer.ggml.scores", scores);
  return model.set("tokenizer.ggml.token_type", types);
}

}  // namespace pumice::test
