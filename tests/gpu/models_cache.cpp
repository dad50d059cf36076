// Whole models with every type of cache: against the interpreter whose cache rounds in the same
// way, and what each costs against an exact cache.
#include <cstring>
#include <iostream>

#include "engine/graph/fusions.h"
#include "engine/model/architectures.h"
#include "tests/gpu/row_engine.h"
#include "tests/gpu/row_graph.h"
#include "tests/gpu/row_model.h"

namespace pumice::test {
namespace {

constexpr uint32_t kTokens = 280, kFirstRow = 250;  // over a page
constexpr CacheType kF32 = CacheType::F32, kF16 = CacheType::F16, kQ8 = CacheType::Q8_0,
                    kQ4 = CacheType::Q4_0;

std::vector<uint32_t> token_ids(uint32_t n, uint32_t vocab) {
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < n; ++i) ids.push_back((i * i * 7 + i * 13 + 5) % vocab);
  return ids;
}

/// A small llama on the shared device: formats share all pipelines but those of attention.
class ModelsCache : public RowTest {
 protected:
  void SetUp() override {
    RowTest::SetUp();
    if (IsSkipped()) return;
    file_ = open_in_memory(make_model(kShape));
    ASSERT_NE(file_, nullptr);
    auto graph = model::build_graph(*file_);
    ASSERT_TRUE(graph) << graph.error().text;
    graph_ = graph::fuse(std::move(*graph));
    ids_ = token_ids(kTokens, kShape.vocab);
  }

  std::vector<float> on_device(const CacheFormat& format, const char* name = "default",
                               bool gpu = false) {
    const Tier tier{.name = name, .without = {.texel = gpu}, .gpu = gpu, .cache = format};
    RunOptions options;
    options.max_chunk = options.max_outputs = 32;
    auto runner = GraphRunner::create(device(), *file_, graph_, tier, options);
    EXPECT_TRUE(runner) << describe(format) << ": " << runner.error().text;
    if (!runner) return {};
    const auto rows = logits_in_steps(**runner, ids_, kFirstRow, gpu ? 8 : 32);
    EXPECT_TRUE(rows) << describe(format) << ": " << rows.error().text;
    return rows ? *rows : std::vector<float>();
  }

  std::vector<double> on_reference(const CacheFormat* format) {
    auto interpreter = reference::Interpreter::load(*file_, graph_);
    EXPECT_TRUE(interpreter) << interpreter.error().text;
    if (format != nullptr) interpreter->set_cache_format(*format);
    const auto rows = interpreter->logits(ids_, kFirstRow);
    EXPECT_TRUE(rows) << rows.error().text;
    return rows->data;
  }

  static constexpr ModelShape kShape{.embd = 256, .ff = 256, .head = 64};
  std::shared_ptr<const GgufFile> file_;
  graph::Graph graph_;
  std::vector<uint32_t> ids_;
};

/// Not for a driver that takes minutes for the pipelines of a model: the rows of attention show the
/// same there.
class ModelsCacheAtLength : public ModelsCache {
 protected:
  void SetUp() override {
    ModelsCache::SetUp();
    if (!IsSkipped() && is_swiftshader()) GTEST_SKIP() << "SwiftShader compiles for minutes";
  }
};

/// What a side of the cache may cost in NMSE of the logits.
double cost_limit(CacheType type) {
  constexpr double kLimits[] = {1e-9, 1e-6, 2e-4, 5e-2};
  return kLimits[uint32_t(type)];
}

TEST_F(ModelsCache, EveryPairOfTypes) {
  const std::vector<double> exact = on_reference(nullptr);
  for (const CacheType k : {kF32, kF16, kQ8, kQ4})
    for (const CacheType v : {kF32, kF16, kQ8, kQ4}) {
      if (is_swiftshader() && !(k == kQ8 && v == kQ4)) continue;  // see SetUp of the others
      const CacheFormat format{k, v};
      const double cost = reference::nmse(on_device(format), exact);
      std::cout << describe(format) << " cache: NMSE " << cost << "\n";
      EXPECT_LE(cost, cost_limit(k) + cost_limit(v)) << describe(format);
    }
}

TEST_F(ModelsCacheAtLength, RotationChangesNothingButTheRounding) {
  const std::vector<float> plain = on_device(kF32), rotated = on_device({kF32, kF32, true});
  const std::vector<float> as_gpu = on_device({kF32, kF32, true}, "as a GPU", true);
  const std::vector<double> expected(plain.begin(), plain.end());
  EXPECT_LE(reference::nmse(rotated, expected), 1e-10);
  EXPECT_LE(reference::nmse(as_gpu, expected), 1e-10);
}

/// Ties between levels, and between scales that are nearly as good, may fall otherwise in f32: far
/// less than the type costs.
TEST_F(ModelsCacheAtLength, RoundsLikeTheReference) {
  for (const CacheFormat& format : {CacheFormat(kQ8), CacheFormat(kQ4, kQ4, true)}) {
    const std::vector<double> expected = on_reference(&format);
    for (const bool gpu : {false, true}) {
      const double error = reference::nmse(on_device(format, "", gpu), expected);
      std::cout << describe(format) << (gpu ? ", as a GPU" : "") << ": NMSE " << error << "\n";
      EXPECT_LE(error, cost_limit(format.k) / 1000) << describe(format);
    }
  }
}

TEST_F(ModelsCacheAtLength, DeterministicBitsDoNotDependOnChunksOrNeighbours) {
  LoadOptions options = load_options("", {"", ActivationType::Q8, {kQ4, kQ8, true}});
  const TemporaryModel model({.architecture = "gemma2", .window = 48});
  options.model = model.path();
  options.run.context = 300;
  options.run.deterministic = true;
  options.run.max_sequences = 2;
  options.device.validation = true;
  auto loaded = Engine::load(options);
  ASSERT_TRUE(loaded) << loaded.error().text;
  Engine& engine = **loaded;
  const auto ids = signed_ids(token_ids(270, 100));
  std::vector<float> first;
  for (const size_t chunk : {size_t{64}, size_t{7}, size_t{1}}) {
    // A neighbour of another length moves every page and column.
    const auto other = engine.append(1, std::span(ids).first(chunk));
    ASSERT_TRUE(other) << other.error().text;
    engine.rewind(0, 0);
    std::vector<float> rows;
    for (size_t at = 0; at < ids.size(); at += chunk) {
      const auto some = std::span(ids).subspan(at, std::min(chunk, ids.size() - at));
      const auto more = engine.logits(0, some);
      ASSERT_TRUE(more) << more.error().text;
      rows = *more;  // the last token's row ends it
    }
    rows.erase(rows.begin(), rows.end() - 100);
    if (first.empty()) first = rows;
    EXPECT_EQ(std::memcmp(rows.data(), first.data(), rows.size() * 4), 0) << "steps of " << chunk;
  }
  for (const std::string& message : engine.device().validation_log())
    ADD_FAILURE() << "validation: " << message;
}

}  // namespace
}  // namespace pumice::test
