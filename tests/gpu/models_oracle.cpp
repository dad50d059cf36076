// Whole models on a driver against reference logits: every architecture, every quant type, a
// trained model.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "engine/graph/fusions.h"
#include "tests/gpu/row_engine.h"
#include "tests/gpu/row_graph.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;

/// Models of a folder that this build can run, by name without ".gguf".
std::vector<std::string> runnable_models(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(oracle_path(folder))) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = open_gguf(entry.path().string());
    if (!file || !model::build_graph(**file)) continue;
    const auto tensors = (*file)->tensors();
    if (std::all_of(tensors.begin(), tensors.end(), [](const TensorInfo& tensor) {
          return find_weight_layout(tensor.type) != nullptr;
        }))
      names.push_back(folder + "/" + entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

double limit_of(const std::string& name, const Tier& tier) {
  if (tier.activations == ActivationType::Q8) return kFastLimit;
  // The reference of GELU models used a 16-bit table.
  return name.find("gemma") != std::string::npos ? 1e-5 : 1e-6;
}

void compare(GraphRunner& runner, const std::string& name, const Tier& tier, uint32_t chunk) {
  const auto expected = read_oracle(name);
  ASSERT_TRUE(expected) << name;
  const auto logits = logits_in_steps(runner, expected->tokens, expected->first_row, chunk);
  ASSERT_TRUE(logits) << logits.error().text;
  const std::vector<double> exact(expected->logits.begin(), expected->logits.end());
  const double error = reference::nmse(*logits, exact);
  std::cout << name << " " << tier.name << ": NMSE " << error << "\n";
  EXPECT_LE(error, limit_of(name, tier)) << name << " " << tier.name;
}

/// The `.logits` in steps of `chunk`, the `.long` in steps of 8, which also stands for `.logits` in
/// steps of 8: few shapes, few pipelines. The device is shared, so that models share the pipelines
/// of what they have in common.
class ModelsOracle : public RowTest {
 protected:
  void SetUp() override {
    RowTest::SetUp();
    if (!IsSkipped() && !oracle_has("archs"))
      GTEST_SKIP() << "no reference models at " << PUMICE_ORACLE_DIR;
  }

  static void compare_model(const std::string& name, const Tier& tier, uint32_t chunk) {
    const auto file = open_gguf(oracle_path(name + ".gguf"));
    ASSERT_TRUE(file) << file.error().text;
    auto graph = model::build_graph(**file);
    ASSERT_TRUE(graph) << graph.error().text;
    RunOptions options;
    options.context = 300;
    options.max_chunk = options.max_outputs = 8;
    auto runner = GraphRunner::create(device(), **file, graph::fuse(*graph), tier, options);
    ASSERT_TRUE(runner) << name << ": " << runner.error().text;
    const bool has_long = oracle_has(name + ".long");
    if (chunk == 1 || !has_long) compare(**runner, name + ".logits", tier, chunk);
    if (has_long) compare(**runner, name + ".long", tier, 8);
  }

  static void compare_folder(const std::string& folder, const Tier& tier, uint32_t chunk,
                             size_t at_least) {
    const std::vector<std::string> names = runnable_models(folder);
    EXPECT_GE(names.size(), at_least);
    for (const std::string& name : names) {
      release_pipelines();
      compare_model(name, tier, chunk);
    }
  }
};

constexpr Tier kExactTier{.name = "f32/f32"};
constexpr Tier kFastTier{
    .name = "q8/f16", .activations = ActivationType::Q8, .cache = CacheType::F16};

TEST_F(ModelsOracle, ArchitecturesExact) {
  compare_folder("archs", kExactTier, 1, 7);
}
TEST_F(ModelsOracle, ArchitecturesFast) {
  compare_folder("archs", kFastTier, 8, 7);
}
TEST_F(ModelsOracle, TypesExact) {
  compare_folder("types", kExactTier, 8, 16);
}
TEST_F(ModelsOracle, TypesFast) {
  compare_folder("types", kFastTier, 8, 16);
}

// The same architectures through what a GPU would run: storage buffers, pages of attention apart.
TEST_F(ModelsOracle, ArchitecturesOnGpuKernels) {
  const Tier tier{.name = "f32/f32, as a GPU", .without = {.texel = true}, .gpu = true};
  for (const char* name : {"archs/llama-moe", "archs/gemma3-dense"}) compare_model(name, tier, 1);
}

class ModelsTrained : public OracleTest {};

TEST_F(ModelsTrained, Logits) {
  const char* name = "real/dreams260K-f32";
  const auto expected = read_oracle(std::string(name) + ".logits");
  ASSERT_TRUE(expected);
  for (const Precision& precision : {kExact, kFast}) {
    auto engine = Engine::load(load_options(oracle_path(std::string(name) + ".gguf"), precision));
    ASSERT_TRUE(engine) << engine.error().text;
    const auto logits = logits_of(**engine, signed_ids(expected->tokens), expected->first_row);
    ASSERT_TRUE(logits) << logits.error().text;
    const double error = reference::nmse(
        *logits, std::vector<double>(expected->logits.begin(), expected->logits.end()));
    std::cout << name << " " << precision.name << ": NMSE " << error << "\n";
    EXPECT_LE(error, precision.activations == ActivationType::Q8 ? kFastLimit : 1e-6);
  }
}

TEST_F(ModelsTrained, GreedyText) {
  const char* prompt = "Once upon a time";
  const char* expected =
      "Once upon a time, pixels unfolding like petals. Classifications unfold, a kaleidoscope of "
      "probability revealing h";
  auto loaded = Engine::load(load_options(oracle_path("real/dreams260K-f32.gguf"), kExact));
  ASSERT_TRUE(loaded) << loaded.error().text;
  Engine& engine = **loaded;
  const Tokenizer& tokenizer = engine.tokenizer();
  auto ids = tokenizer.encode(prompt, {.add_bos = true});
  ASSERT_TRUE(ids) << ids.error().text;
  std::vector<int32_t> text = *ids;
  std::vector<int32_t> next = *ids;
  const std::string_view wanted(expected);
  const auto decoded = [&] { return tokenizer.decode(text, {.strip_space_prefix = true}); };
  for (int i = 0; i < 120 && decoded().size() < wanted.size(); ++i) {
    const auto sampled = engine.append_and_sample(0, next);
    ASSERT_TRUE(sampled) << sampled.error().text;
    next = {sampled->token};
    text.push_back(sampled->token);
  }
  EXPECT_EQ(decoded().substr(0, wanted.size()), wanted);
}

}  // namespace
}  // namespace pumice::test
