// What the taps gather on a device, against sums over the values of the double-precision
// interpreter; and weights that are replaced after the load.
#include <cmath>
#include <cstring>
#include <iostream>

#include "engine/graph/fusions.h"
#include "engine/graph/taps.h"
#include "loader/codec.h"
#include "tests/gpu/row_engine.h"
#include "tests/gpu/row_model.h"
#include "tests/support/sized_model.h"

namespace pumice::test {
namespace {

/// A synthetic model as a file that lives as long as the object.
class ModelFile {
 public:
  explicit ModelFile(SyntheticModel model) {
    const std::string unique = std::to_string(std::random_device{}());
    path_ = (std::filesystem::temp_directory_path() / ("pumice-taps-" + unique + ".gguf")).string();
    model.set("tokenizer.ggml.model", std::string("none"));
    const auto bytes = model.bytes();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  }
  ~ModelFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Widths that fill no block of a Gram matrix and no activation block.
constexpr ModelSize kOdd{
    .embd = 100, .heads = 4, .kv_heads = 2, .head = 24, .ff = 164, .vocab = 60, .context = 512};

SyntheticModel odd_model(const char* architecture, uint32_t experts = 0, bool biases = false) {
  ModelSize size = kOdd;
  size.experts = experts;
  size.biases = biases;
  SyntheticModel model = sized_model(architecture, size);
  if (std::string_view(architecture).starts_with("gemma")) model.drop("output.weight");
  return model;
}

std::vector<int32_t> token_ids(uint32_t n, uint32_t vocab) {
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < n; ++i) ids.push_back(int32_t((i * i * 7 + i * 13 + 5) % vocab));
  return ids;
}

LoadOptions tapped_options(const std::string& path, bool texel,
                           graph::Statistics statistics = graph::Statistics::Gram) {
  LoadOptions options = load_options(path, kExact);
  options.device.without.texel = !texel;
  options.device.validation = true;
  options.run.taps.statistics = statistics;
  return options;
}

void expect_silence(Engine& engine) {
  for (const std::string& message : engine.device().validation_log())
    ADD_FAILURE() << "validation: " << message;
}

/// A tap's sums in double precision.
struct Sums {
  std::vector<double> squares, gram;
  std::vector<uint64_t> counts;
};

/// Adds x x^T of one column's slot to matrix `m`.
void add_column(Sums& sums, std::span<const double> x, uint64_t m) {
  const uint64_t width = x.size();
  ++sums.counts[m];
  for (uint64_t i = 0; i < width; ++i) {
    sums.squares[m * width + i] += x[i] * x[i];
    for (uint64_t j = 0; j < width; ++j) sums.gram[(m * width + i) * width + j] += x[i] * x[j];
  }
}

Sums sums_of(const reference::Interpreter& run, const graph::Observe& op) {
  const graph::Tap& tap = run.graph().taps[op.tap];
  const reference::Matrix x = run.value(op.x);
  Sums sums;
  sums.squares.resize(uint64_t{tap.matrices} * tap.width);
  sums.gram.resize(sums.squares.size() * tap.width);
  sums.counts.resize(tap.matrices);
  for (uint32_t c = 0; c < x.columns; ++c) {
    if (op.experts_by == graph::kNone) {
      add_column(sums, x.column(c), 0);
      continue;
    }
    const reference::Matrix route = run.value(op.experts_by);
    for (uint32_t slot = 0; slot < op.n_used; ++slot)
      add_column(sums, x.column(c).subspan(op.x_per_slot ? slot * tap.width : 0, tap.width),
                 uint64_t(route.column(c)[op.n_used + slot]));
  }
  return sums;
}

void expect_sums(const TapStatistics& found, const Sums& expected, double& worst) {
  EXPECT_EQ(found.counts, expected.counts) << found.tensors.front();
  double error = 0, power = 0;
  for (size_t i = 0; i < expected.squares.size(); ++i) {
    error += std::pow(found.sum_squares[i] - expected.squares[i], 2);
    power += std::pow(expected.squares[i], 2);
  }
  const double gram = reference::nmse(found.gram, expected.gram);
  worst = std::max({worst, error / power, gram});
  EXPECT_LE(error / power, 1e-9) << found.tensors.front();
  EXPECT_LE(gram, 1e-9) << found.tensors.front();
}

/// What 90 tokens in steps of 64 and 26 (six columns of padding) add, against the reference.
void expect_statistics(const std::string& path, bool texel) {
  LoadOptions options = tapped_options(path, texel);
  options.run.taps.output = true;
  auto engine = Engine::load(options);
  ASSERT_TRUE(engine) << engine.error().text;
  const graph::Graph& graph = (*engine)->plan().graph;
  const auto ids = token_ids(90, graph.n_vocab);
  ASSERT_TRUE((*engine)->append(0, std::span(ids).first(64)));
  ASSERT_TRUE((*engine)->append_and_sample(0, std::span(ids).subspan(64)));
  const auto found = (*engine)->take_statistics();
  ASSERT_TRUE(found) << found.error().text;
  expect_silence(**engine);

  auto run = reference::Interpreter::load((*engine)->file(), graph);
  ASSERT_TRUE(run) << run.error().text;
  ASSERT_TRUE(run->logits(std::vector<uint32_t>(ids.begin(), ids.end()), 89));
  double worst = 0;
  size_t taps = 0;
  for (const graph::Node& node : graph.nodes)
    if (const auto* op = std::get_if<graph::Observe>(&node.op)) {
      ASSERT_LT(op->tap, found->size());
      EXPECT_EQ((*found)[op->tap].tensors, graph.taps[op->tap].tensors);
      expect_sums((*found)[op->tap], sums_of(*run, *op), worst);
      ++taps;
    }
  EXPECT_EQ(taps, found->size());
  std::cout << (*engine)->config().architecture << (texel ? ", texels" : ", buffers") << ": "
            << taps << " inputs, largest NMSE " << worst << "\n";
}

/// SwiftShader compiles for seconds where others take milliseconds: it runs the kernels, and what
/// only concerns the host is left to the others.
bool is_swiftshader() {
  const auto devices = vk::list_devices();
  return devices && !devices->empty() && devices->front().caps.driver == DriverKind::SwiftShader;
}
#define LEAVE_TO_OTHERS \
  if (is_swiftshader()) GTEST_SKIP() << "the same host code runs on other drivers"

class Statistics : public ModelTest {};

TEST_F(Statistics, DenseAgainstReference) {
  for (const char* architecture : {"llama", "gemma2", "phi3"}) {
    if (is_swiftshader() && architecture != std::string_view("phi3")) continue;
    const ModelFile model(odd_model(architecture));
    for (const bool texel : texel_choices()) expect_statistics(model.path(), texel);
  }
}

TEST_F(Statistics, ExpertsAgainstReference) {
  const ModelFile model(odd_model("llama", 5));
  for (const bool texel : texel_choices()) expect_statistics(model.path(), texel);
}

TEST_F(Statistics, QuantisedWeightsAgainstReference) {
  LEAVE_TO_OTHERS;
  const TemporaryModel model({.architecture = "llama"});
  expect_statistics(model.path(), true);
}

/// Everything that a run over `ids` gathers.
std::vector<TapStatistics> gathered(Engine& engine, std::span<const int32_t> ids) {
  engine.rewind(0, 0);
  EXPECT_TRUE(engine.append(0, ids));
  auto taken = engine.take_statistics();
  EXPECT_TRUE(taken) << taken.error().text;
  return taken ? std::move(*taken) : std::vector<TapStatistics>();
}

TEST_F(Statistics, ReadingStartsAnewAndRunsRepeat) {
  LEAVE_TO_OTHERS;
  const ModelFile model(odd_model("llama", 3));
  auto engine = Engine::load(tapped_options(model.path(), true));
  ASSERT_TRUE(engine) << engine.error().text;
  const auto ids = token_ids(100, kOdd.vocab);
  const auto first = gathered(**engine, ids);
  const auto nothing = (*engine)->take_statistics();
  ASSERT_TRUE(nothing);
  const auto second = gathered(**engine, ids);
  ASSERT_FALSE(first.empty());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_GT(first[i].sum_squares[0], 0.0);
    EXPECT_EQ(first[i].sum_squares, second[i].sum_squares);
    EXPECT_EQ(first[i].gram, second[i].gram);
    EXPECT_EQ(first[i].counts, second[i].counts);
    EXPECT_EQ((*nothing)[i].sum_squares, std::vector<double>(first[i].sum_squares.size()));
    EXPECT_EQ((*nothing)[i].counts, std::vector<uint64_t>(first[i].counts.size()));
  }
}

TEST_F(Statistics, PassesCoverEveryLayerOnceAndLogitsKeepTheirBits) {
  LEAVE_TO_OTHERS;
  const ModelFile model(odd_model("gemma2"));
  const auto ids = token_ids(40, kOdd.vocab);
  LoadOptions options = tapped_options(model.path(), true, graph::Statistics::None);
  options.run.deterministic = true;
  auto plain = Engine::load(options);
  ASSERT_TRUE(plain) << plain.error().text;
  const auto expected = (*plain)->logits(0, ids);
  ASSERT_TRUE(expected);
  options.run.taps.statistics = graph::Statistics::Gram;
  options.run.taps.output = true;
  options.run.taps.gram_budget = 1;  // one layer at a time
  std::vector<std::string> tensors;
  graph::TappedLayers layers;
  do {
    options.run.taps.first_layer = layers.end;
    auto engine = Engine::load(options);
    ASSERT_TRUE(engine) << engine.error().text;
    layers = (*engine)->tapped_layers();
    EXPECT_EQ(layers.end, layers.first + 1);
    const auto rows = (*engine)->logits(0, ids);
    ASSERT_TRUE(rows);
    EXPECT_EQ(std::memcmp(rows->data(), expected->data(), rows->size() * 4), 0);
    const auto taken = (*engine)->take_statistics();
    ASSERT_TRUE(taken);
    for (const TapStatistics& tap : *taken)
      tensors.insert(tensors.end(), tap.tensors.begin(), tap.tensors.end());
  } while (layers.end < layers.layers);
  EXPECT_EQ(tensors.size(), 2u * 7 + 1);
  EXPECT_EQ(tensors.back(), "token_embd.weight");
}

// ---- replaced weights

/// The same model with other values in every tensor.
SyntheticModel other_values(SyntheticModel model) {
  for (auto& [name, tensor] : model.tensors())
    tensor.values = SyntheticModel::random(name + " other", tensor.shape);
  return model;
}

std::vector<float> decoded(const TensorInfo& tensor) {
  std::vector<float> values(tensor.n_weights);
  decode_rows(tensor, 0, tensor.n_rows(), values.data());
  return values;
}

std::vector<float> logits_for(Engine& engine, std::span<const int32_t> ids) {
  engine.rewind(0, 0);
  auto rows = engine.logits(0, ids);
  EXPECT_TRUE(rows) << rows.error().text;
  return rows ? std::move(*rows) : std::vector<float>();
}

void set_all(Engine& engine, const GgufFile& from) {
  for (const TensorInfo& tensor : from.tensors()) {
    const auto set = engine.set_weight(tensor.name, decoded(tensor));
    EXPECT_TRUE(set) << set.error().text;
  }
}

/// An engine loaded from one file, given all weights of another, equals an engine of the other.
void expect_replaced(const std::string& from, const std::string& to, bool texel) {
  LoadOptions options = tapped_options(from, texel, graph::Statistics::None);
  options.weights_as_f32 = true;
  options.device.validation = false;
  auto engine = Engine::load(options);
  ASSERT_TRUE(engine) << engine.error().text;
  options.model = to;
  auto other = Engine::load(options);
  ASSERT_TRUE(other) << other.error().text;
  const auto ids = token_ids(30, (*engine)->plan().graph.n_vocab);
  const auto before = logits_for(**engine, ids), expected = logits_for(**other, ids);
  EXPECT_NE(before, expected);
  set_all(**engine, (*other)->file());
  EXPECT_EQ(logits_for(**engine, ids), expected) << from;
  set_all(**engine, (*engine)->file());
  EXPECT_EQ(logits_for(**engine, ids), before) << from;
}

class Replaced : public ModelTest {};

TEST_F(Replaced, EveryTensorOfEveryForm) {
  for (const char* architecture : {"llama", "gemma2", "phi3", "qwen3"}) {
    if (is_swiftshader() && architecture != std::string_view("llama")) continue;
    SyntheticModel model = odd_model(architecture);
    if (architecture == std::string_view("llama")) model.tensor("rope_freqs.weight", {12});
    const ModelFile file(model), other(other_values(model));
    for (const bool texel : texel_choices()) expect_replaced(file.path(), other.path(), texel);
  }
  if (is_swiftshader()) return;
  const SyntheticModel experts = odd_model("llama", 3), biases = odd_model("qwen2", 0, true);
  for (const SyntheticModel& model : {experts, biases}) {
    const ModelFile file(model), other(other_values(model));
    expect_replaced(file.path(), other.path(), true);
  }
}

TEST_F(Replaced, QuantisedFileEqualsItsDecodedValues) {
  LEAVE_TO_OTHERS;
  const TemporaryModel quantised({.architecture = "llama", .experts = 4});
  const auto file = open_gguf(quantised.path());
  ASSERT_TRUE(file);
  auto run = model::build_graph(**file);
  ASSERT_TRUE(run);
  auto reference = reference::Interpreter::load(**file, graph::fuse(std::move(*run)));
  ASSERT_TRUE(reference);
  const auto ids = token_ids(30, 100);
  const auto expected = reference->logits(std::vector<uint32_t>(ids.begin(), ids.end()));
  ASSERT_TRUE(expected);

  LoadOptions options = tapped_options(quantised.path(), true, graph::Statistics::None);
  auto as_it_is = Engine::load(options);
  options.weights_as_f32 = true;
  auto as_f32 = Engine::load(options);
  ASSERT_TRUE(as_it_is && as_f32);
  const auto plain = logits_for(**as_it_is, ids), decoded_rows = logits_for(**as_f32, ids);
  const double f32_error = reference::nmse(decoded_rows, expected->data);
  const double difference =
      reference::nmse(plain, std::vector<double>(decoded_rows.begin(), decoded_rows.end()));
  std::cout << "decoded to f32: NMSE " << f32_error << ", against quantised " << difference << "\n";
  EXPECT_LE(f32_error, 1e-11);
  EXPECT_LE(difference, 1e-11);
  set_all(**as_f32, **file);
  EXPECT_EQ(logits_for(**as_f32, ids), decoded_rows);
}

TEST_F(Replaced, RefusesWithWords) {
  LEAVE_TO_OTHERS;
  const TemporaryModel model({.architecture = "llama"});
  auto engine = Engine::load(tapped_options(model.path(), true, graph::Statistics::None));
  ASSERT_TRUE(engine) << engine.error().text;
  std::vector<float> values(256 * 256);
  const auto quantised = (*engine)->set_weight("blk.0.ffn_up.weight", values);
  ASSERT_FALSE(quantised);
  EXPECT_EQ(quantised.error().code, ErrorCode::Unsupported);
  const auto absent = (*engine)->set_weight("blk.7.ffn_up.weight", values);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::NotFound);
  const auto few = (*engine)->set_weight("blk.0.attn_norm.weight", values);
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().text.find("256 weights, 65536 were given"), std::string::npos);
  values.assign(256, NAN);
  EXPECT_FALSE((*engine)->set_weight("blk.0.attn_norm.weight", values));
}

}  // namespace
}  // namespace pumice::test
