// Rows are put together from a pool of quantised blocks per type and scale: as random as needed,
// as fast as memory, and the type's own encoder has the say on what a block may be.
#include "synthetic.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <new>
#include <thread>

#include "engine/base/platform.h"
#include "engine/quant/encode.h"
#include "loader/gguf_writer.h"
#include "output.h"

namespace pumice::command {
namespace {

constexpr uint32_t kPoolUnits = 1024;  // a power of two
constexpr uint32_t kPlainUnit = 32;    // weights, of types without blocks
constexpr uint64_t kSliceBytes = 8u << 20;

/// A well-mixed word for every number (splitmix64's finish).
uint64_t mixed(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Close to a normal distribution, and the same on every machine: twelve uniform numbers added.
float normal(uint64_t seed) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 3; ++i)
    for (uint64_t word = mixed(seed * 3 + i), k = 0; k < 4; ++k, word >>= 16) sum += word & 0xFFFF;
  return float(double(sum) / 0x1p16 - 6.0);
}

/// Quantised blocks of one type and scale.
struct Pool {
  uint64_t unit_bytes = 0;
  std::vector<std::byte> bytes;  ///< kPoolUnits of them
};

Pool make_pool(QuantType type, float mean, float deviation) {
  const QuantTypeInfo& layout = info(type);
  const uint32_t weights = layout.block_weights == 1 ? kPlainUnit : layout.block_weights;
  Pool pool;
  pool.unit_bytes = uint64_t{weights} / layout.block_weights * layout.block_bytes;
  std::vector<float> values(size_t{weights} * kPoolUnits);
  for (size_t i = 0; i < values.size(); ++i) values[i] = mean + deviation * normal(i);
  pool.bytes.resize(pool.unit_bytes * kPoolUnits);
  quant::encode_rows(type, values, weights, {}, pool.bytes);
  return pool;
}

struct SyntheticTensor {
  GgufTensorPlan plan;
  float mean = 0, deviation = 0;
};

/// The tensors of the llama architecture, types still f32.
std::vector<SyntheticTensor> tensors_of(const SyntheticShape& shape) {
  const uint64_t q = uint64_t{shape.heads} * shape.head;
  const uint64_t kv = uint64_t{shape.kv_heads} * shape.head;
  std::vector<SyntheticTensor> tensors;
  const auto vector = [&](const std::string& name) {
    tensors.push_back({{name + ".weight", QuantType::F32, {shape.width}}, 1.0f, 0.1f});
  };
  const auto matrix = [&](const std::string& name, uint64_t in, uint64_t out, double gain = 1.0) {
    tensors.push_back(
        {{name + ".weight", QuantType::F32, {in, out}}, 0.0f, float(gain / std::sqrt(double(in)))});
  };
  // Logits of a few units: an output matrix four times as large as what keeps the scale.
  matrix("token_embd", shape.width, shape.vocab, 4.0);
  vector("output_norm");
  if (!shape.tied) matrix("output", shape.width, shape.vocab, 4.0);
  for (uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::string at = fmt::format("blk.{}.", layer);
    vector(at + "attn_norm");
    matrix(at + "attn_q", shape.width, q);
    matrix(at + "attn_k", shape.width, kv);
    matrix(at + "attn_v", shape.width, kv);
    matrix(at + "attn_output", q, shape.width);
    vector(at + "ffn_norm");
    matrix(at + "ffn_gate", shape.width, shape.ff);
    matrix(at + "ffn_up", shape.width, shape.ff);
    matrix(at + "ffn_down", shape.ff, shape.width);
  }
  return tensors;
}

Result<void> choose(std::vector<SyntheticTensor>& tensors, const SyntheticSpec& spec) {
  quant::MixFacts facts;
  facts.architecture = "llama";
  facts.layers = spec.shape.layers;
  facts.heads = spec.shape.heads;
  facts.heads_kv = spec.shape.kv_heads;
  std::vector<TensorInfo> infos;
  for (const SyntheticTensor& tensor : tensors) {
    TensorInfo one;
    one.name = tensor.plan.name;
    one.n_dims = uint32_t(tensor.plan.shape.size());
    one.n_weights = 1;
    for (size_t i = 0; i < tensor.plan.shape.size(); ++i) {
      one.shape[i] = tensor.plan.shape[i];
      one.n_weights *= one.shape[i];
    }
    one.n_bytes = one.n_weights * sizeof(float);
    infos.push_back(one);
  }
  PUMICE_TRY_ASSIGN(const auto choices, quant::choose_types(facts, infos, spec.types));
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].plan.type = choices[i].type;
    if (!quant::can_encode(choices[i].type))
      return fail(ErrorCode::Unsupported, "{}: {} is not written by this program", spec.name,
                  info(choices[i].type).name);
  }
  return {};
}

/// Pieces that a SentencePiece reader accepts: controls, bytes where they fit, then numbered words.
void set_vocabulary(MetadataDraft& draft, uint32_t size) {
  constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
  std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {kUnknown, kControl, kControl};
  if (size >= 512)
    for (int byte = 0; byte < 256; ++byte) {
      pieces.push_back(fmt::format("<0x{:02X}>", byte));
      types.push_back(kByte);
    }
  types.resize(size, kNormal);
  std::vector<float> scores(size);
  for (uint32_t i = uint32_t(pieces.size()); i < size; ++i) {
    pieces.push_back(fmt::format("\u2581w{}", i));
    scores[i] = -float(i);
  }
  draft.set_string("tokenizer.ggml.model", "llama");
  draft.set_strings("tokenizer.ggml.tokens", pieces);
  draft.set_f32s("tokenizer.ggml.scores", scores);
  draft.set_i32s("tokenizer.ggml.token_type", types);
  draft.set_u32("tokenizer.ggml.bos_token_id", 1);
  draft.set_u32("tokenizer.ggml.eos_token_id", 2);
  draft.set_u32("tokenizer.ggml.unknown_token_id", 0);
}

MetadataDraft metadata_of(const SyntheticSpec& spec) {
  const SyntheticShape& shape = spec.shape;
  MetadataDraft draft;
  draft.set_string("general.architecture", "llama");
  draft.set_string("general.name", "synthetic " + spec.name);
  draft.set_u32("general.quantization_version", 2);
  draft.set_u32("general.file_type", spec.file_type);
  const std::pair<const char*, uint32_t> keys[] = {
      {"block_count", shape.layers},         {"context_length", shape.context},
      {"embedding_length", shape.width},     {"feed_forward_length", shape.ff},
      {"attention.head_count", shape.heads}, {"attention.head_count_kv", shape.kv_heads},
      {"attention.key_length", shape.head},  {"attention.value_length", shape.head},
      {"rope.dimension_count", shape.head},  {"vocab_size", shape.vocab},
  };
  for (const auto& [key, value] : keys) draft.set_u32(fmt::format("llama.{}", key), value);
  draft.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  draft.set_f32("llama.rope.freq_base", 500'000.0f);
  set_vocabulary(draft, shape.vocab);
  return draft;
}

/// A model whose bytes can be made anywhere in any order.
class Maker {
 public:
  static Result<Maker> create(const SyntheticSpec& spec) {
    Maker maker;
    maker.tensors_ = tensors_of(spec.shape);
    PUMICE_TRY(choose(maker.tensors_, spec));
    maker.metadata_ = metadata_of(spec);
    PUMICE_TRY_ASSIGN(maker.layout_, gguf_layout(spec.name, maker.metadata_, maker.plans()));
    for (const SyntheticTensor& tensor : maker.tensors_) {
      const Key key{tensor.plan.type, tensor.mean, tensor.deviation};
      if (!maker.pools_.contains(key))
        maker.pools_.emplace(key, make_pool(tensor.plan.type, tensor.mean, tensor.deviation));
    }
    return maker;
  }

  [[nodiscard]] const MetadataDraft& metadata() const { return metadata_; }
  [[nodiscard]] const GgufLayout& layout() const { return layout_; }
  [[nodiscard]] std::vector<GgufTensorPlan> plans() const {
    std::vector<GgufTensorPlan> plans;
    for (const SyntheticTensor& tensor : tensors_) plans.push_back(tensor.plan);
    return plans;
  }

  /// Whole units of tensor `i`.
  struct Slice {
    size_t tensor;
    uint64_t at, bytes;  ///< within the tensor
  };
  /// All of the model, in the order of the file.
  [[nodiscard]] std::vector<Slice> slices() const {
    std::vector<Slice> all;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const uint64_t unit = pool(i).unit_bytes, step = kSliceBytes / unit * unit;
      for (uint64_t at = 0; at < layout_.bytes[i]; at += step)
        all.push_back({i, at, std::min(step, layout_.bytes[i] - at)});
    }
    return all;
  }

  void fill(const Slice& slice, std::byte* out) const {
    const Pool& blocks = pool(slice.tensor);
    const uint64_t size = blocks.unit_bytes, first = slice.at / size;
    const uint64_t seed = mixed(slice.tensor) << 1;
    for (uint64_t u = 0; u < slice.bytes / size; ++u, out += size) {
      const uint64_t pick = mixed(seed + first + u) & (kPoolUnits - 1);
      std::memcpy(out, blocks.bytes.data() + pick * size, size);
    }
  }

 private:
  struct Key {
    QuantType type;
    float mean, deviation;
    auto operator<=>(const Key&) const = default;
  };
  [[nodiscard]] const Pool& pool(size_t i) const {
    const SyntheticTensor& tensor = tensors_[i];
    return pools_.at({tensor.plan.type, tensor.mean, tensor.deviation});
  }

  std::vector<SyntheticTensor> tensors_;
  MetadataDraft metadata_;
  GgufLayout layout_;
  std::map<Key, Pool> pools_;
};

Result<std::vector<std::byte>> room_for(const SyntheticSpec& spec, uint64_t bytes) {
  const uint64_t free = available_memory();
  std::vector<std::byte> image;
  const auto no_room = [&] {
    return fail(ErrorCode::OutOfMemory,
                "{}: the model takes {} of this machine's memory and {} are free; write it to a "
                "file (--write) and measure that",
                spec.name, bytes_text(bytes), bytes_text(free));
  };
  if (bytes > image.max_size() || (free != 0 && bytes > free)) return no_room();
  try {
    image.resize(size_t(bytes));
  } catch (const std::bad_alloc&) {
    return no_room();
  }
  return image;
}

}  // namespace

Result<std::shared_ptr<const GgufFile>> make_synthetic(const SyntheticSpec& spec,
                                                       const SyntheticWatch& watch) {
  PUMICE_TRY_ASSIGN(const Maker maker, Maker::create(spec));
  const GgufLayout& layout = maker.layout();
  PUMICE_TRY_ASSIGN(std::vector<std::byte> image, room_for(spec, layout.file_bytes));
  std::copy(layout.head.begin(), layout.head.end(), image.begin());
  const std::vector<Maker::Slice> slices = maker.slices();
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  const auto work = [&](bool watching) {
    for (size_t i = next++; i < slices.size() && !stop; i = next++) {
      maker.fill(slices[i], image.data() + layout.at[slices[i].tensor] + slices[i].at);
      if (watching && watch && !watch(i + 1, slices.size())) stop = true;
    }
  };
  std::vector<std::thread> threads;
  try {
    for (uint32_t i = 1; i < std::thread::hardware_concurrency() && i < slices.size(); ++i)
      threads.emplace_back(work, false);
  } catch (const std::system_error&) {  // fewer threads do the same work
  }
  work(true);
  for (std::thread& thread : threads) thread.join();
  if (stop) return fail(ErrorCode::Cancelled, "interrupted");
  if (watch) watch(slices.size(), slices.size());
  return open_gguf(own_memory("synthetic " + spec.name, std::move(image)));
}

Result<uint64_t> write_synthetic(const SyntheticSpec& spec, const std::string& path,
                                 const SyntheticWatch& watch) {
  PUMICE_TRY_ASSIGN(const Maker maker, Maker::create(spec));
  PUMICE_TRY_ASSIGN(const auto writer, GgufWriter::create(path, maker.metadata(), maker.plans()));
  const std::vector<Maker::Slice> slices = maker.slices();
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < slices.size(); ++i) {
    bytes.resize(slices[i].bytes);
    maker.fill(slices[i], bytes.data());
    PUMICE_TRY(writer->write(bytes));
    if (watch && !watch(i + 1, slices.size())) return fail(ErrorCode::Cancelled, "interrupted");
  }
  PUMICE_TRY(writer->finish());
  return writer->file_bytes();
}

}  // namespace pumice::command
