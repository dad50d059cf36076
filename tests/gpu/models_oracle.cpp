// Whole models on a driver against reference logits: every architecture, every quant type, a
// trained model.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "tests/gpu/row_engine.h"

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

double limit_of(const std::string& name, const Precision& precision) {
  if (precision.activations == ActivationType::Q8) return kFastLimit;
  // The reference of GELU models used a 16-bit table.
  return name.find("gemma") != std::string::npos ? 1e-5 : 1e-6;
}

void compare(Engine& engine, const std::string& name, const Precision& precision) {
  const auto expected = read_oracle(name);
  ASSERT_TRUE(expected) << name;
  const auto logits = logits_of(engine, signed_ids(expected->tokens), expected->first_row);
  ASSERT_TRUE(logits) << logits.error().text;
  const std::vector<double> exact(expected->logits.begin(), expected->logits.end());
  const double error = reference::nmse(*logits, exact);
  std::cout << name << " " << precision.name << ": NMSE " << error << "\n";
  EXPECT_LE(error, limit_of(name, precision)) << name << " " << precision.name;
}

void compare_folder(const std::string& folder, const Precision& precision, size_t at_least) {
  const std::vector<std::string> names = runnable_models(folder);
  EXPECT_GE(names.size(), at_least);
  for (const std::string& name : names) {
    auto engine = Engine::load(load_options(oracle_path(name + ".gguf"), precision));
    ASSERT_TRUE(engine) << name << ": " << engine.error().text;
    for (const char* rows : {".logits", ".long"})
      if (oracle_has(name + rows)) compare(**engine, name + rows, precision);
  }
}

using ModelsOracle = OracleTest;

TEST_F(ModelsOracle, ArchitecturesExact) {
  compare_folder("archs", kExact, 7);
}
TEST_F(ModelsOracle, ArchitecturesFast) {
  compare_folder("archs", kFast, 7);
}
TEST_F(ModelsOracle, TypesExact) {
  compare_folder("types", kExact, 16);
}
TEST_F(ModelsOracle, TypesFast) {
  compare_folder("types", kFast, 16);
}
TEST_F(ModelsOracle, TrainedExact) {
  compare_folder("real", kExact, 1);
}
TEST_F(ModelsOracle, TrainedFast) {
  compare_folder("real", kFast, 1);
}

TEST_F(ModelsOracle, GreedyTextOfTheTrainedModel) {
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
