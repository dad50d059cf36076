// The engine when Vulkan calls fail: load, two tokens and shutdown with every call refused in turn;
// a device lost between two tokens; what was planned against what was allocated.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "engine/session/engine.h"
#include "engine/vk/hooks.h"
#include "tests/gpu/test_kernels.h"
#include "tests/support/sized_model.h"

namespace pumice {
namespace {

constexpr uint32_t kVocab = 48;
constexpr int32_t kPrompt[] = {1, 7, 11, 5};

class FaultEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = vk::missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
    write_model({.embd = 64, .heads = 4, .kv_heads = 2, .head = 16, .ff = 96, .vocab = kVocab});
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    std::filesystem::remove(cache_path(), ignored);
    for (const auto& message : messages_) ADD_FAILURE() << "validation: " << message;
  }

  void write_model(const test::ModelSize& size) {
    test::SyntheticModel model = test::sized_model("llama", size);
    const std::vector<std::byte> bytes = test::add_vocabulary(model, size.vocab).bytes();
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  }

  /// Options that open the device through the hooks.
  LoadOptions options(vk::FaultPlan* faults, bool staged = false) {
    LoadOptions load;
    load.model = path_;
    load.run.context = 512;
    load.run.deterministic = true;
    load.device.validation = validation_;
    load.device.pipeline_cache = cache_path();
    load.open_device = [this, faults, staged](const vk::DeviceOptions& asked) {
      vk::DeviceHooks hooks;
      hooks.find = find_kernel;
      hooks.faults = faults;
      hooks.staged_memory = staged;
      hooks.threads = 1;  // the same calls in the same order each time
      hooks.validation_sink = &messages_;
      return vk::open_device(asked, hooks);
    };
    return load;
  }

  /// Load, two tokens, shutdown.
  Result<std::vector<int32_t>> life(vk::FaultPlan* faults, bool staged) {
    PUMICE_TRY_ASSIGN(const auto engine, Engine::load(options(faults, staged)));
    return generate(*engine, kPrompt, 2);
  }

  static Result<std::vector<int32_t>> generate(Engine& engine, std::span<const int32_t> prompt,
                                               int count) {
    std::vector<int32_t> tokens;
    PUMICE_TRY_ASSIGN(Sampled next, engine.append_and_sample(0, prompt));
    tokens.push_back(next.token);
    while (int(tokens.size()) < count) {
      PUMICE_TRY_ASSIGN(next, engine.append_and_sample(0, {&tokens.back(), 1}));
      tokens.push_back(next.token);
    }
    return tokens;
  }

  [[nodiscard]] std::string cache_path() const { return path_ + ".cache"; }

  bool validation_ = false;
  std::vector<std::string> messages_;
  std::string path_ =
      testing::TempDir() + "pumice-faults-" + std::to_string(std::random_device{}()) + ".gguf";
};

/// PUMICE_FAULT_SEED repeats a run; PUMICE_FAULT_SECONDS makes it longer (0 = every call).
uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Numbers 1..count in a random order.
std::vector<uint64_t> shuffled(uint64_t count, uint64_t seed) {
  std::vector<uint64_t> order(count);
  for (uint64_t i = 0; i < count; ++i) order[i] = i + 1;
  std::mt19937_64 random(seed);
  for (uint64_t i = count; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

struct FaultRow {
  const char* name;
  VkResult result;
  bool staged, validation;
  std::vector<ErrorCode> codes;  ///< what the error may be
};

void PrintTo(const FaultRow& row, std::ostream* out) {
  *out << row.name;
}

class EveryCallFails : public FaultEngineTest, public testing::WithParamInterface<FaultRow> {};

TEST_P(EveryCallFails, IsAnErrorInWords) {
  const FaultRow& row = GetParam();
  validation_ = row.validation;
  vk::FaultPlan none;
  const auto whole = life(&none, row.staged);
  ASSERT_TRUE(whole) << whole.error().text;
  ASSERT_GT(none.calls(), 100u);
  const uint64_t seed = from_environment("PUMICE_FAULT_SEED", std::random_device{}());
  const uint64_t seconds = from_environment("PUMICE_FAULT_SECONDS", 12);
  const auto start = std::chrono::steady_clock::now();
  uint64_t tried = 0, refused = 0;
  for (const uint64_t n : shuffled(none.calls(), seed)) {
    vk::FaultPlan faults;
    faults.fail_at = n;
    faults.result = row.result;
    const auto tokens = life(&faults, row.staged);
    SCOPED_TRACE(fmt::format("call {}: {}", n, faults.failed_call()));
    ++tried;
    ASSERT_TRUE(messages_.empty()) << messages_.front();
    // The cache file of the run before may save a call or two.
    if (tokens) {
      EXPECT_EQ(*tokens, *whole);
    } else {
      ++refused;
      const Error& error = tokens.error();
      EXPECT_GT(error.text.size(), 30u) << error.text;
      EXPECT_EQ(error.text.find('\n'), std::string::npos) << error.text;
      EXPECT_NE(std::find(row.codes.begin(), row.codes.end(), error.code), row.codes.end())
          << int(error.code) << ": " << error.text;
    }
    if (HasFailure()) break;
    const auto spent = std::chrono::steady_clock::now() - start;
    if (seconds != 0 && spent > std::chrono::seconds(seconds)) break;
  }
  fmt::print("{}: {} of {} calls tried, {} refused the run (PUMICE_FAULT_SEED={})\n", row.name,
             tried, none.calls(), refused, seed);
  EXPECT_GE(refused * 2, tried);
  const auto after = life(&none, row.staged);
  ASSERT_TRUE(after) << after.error().text;
  EXPECT_EQ(*after, *whole);
}

using enum ErrorCode;
INSTANTIATE_TEST_SUITE_P(Results, EveryCallFails,
                         testing::Values(FaultRow{"OutOfDeviceMemory",
                                                  VK_ERROR_OUT_OF_DEVICE_MEMORY,
                                                  false,
                                                  false,
                                                  {OutOfMemory, NotFound}},
                                         FaultRow{"OutOfDeviceMemoryStaged",
                                                  VK_ERROR_OUT_OF_DEVICE_MEMORY,
                                                  true,
                                                  true,
                                                  {OutOfMemory, NotFound}},
                                         FaultRow{"DeviceLost",
                                                  VK_ERROR_DEVICE_LOST,
                                                  false,
                                                  true,
                                                  {DeviceLost, OutOfMemory, NoDevice, NotFound}},
                                         FaultRow{"InitializationFailed",
                                                  VK_ERROR_INITIALIZATION_FAILED,
                                                  true,
                                                  false,
                                                  {Driver, OutOfMemory, NoDevice, NotFound}}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_F(FaultEngineTest, AfterALossAFreshEngineContinuesWithTheSameTokens) {
  const auto reference_engine = Engine::load(options(nullptr));
  ASSERT_TRUE(reference_engine) << reference_engine.error().text;
  const auto expected = generate(**reference_engine, kPrompt, 12);
  ASSERT_TRUE(expected) << expected.error().text;

  for (const char* call : {"vkQueueSubmit", "vkWaitSemaphores"}) {
    SCOPED_TRACE(call);
    vk::FaultPlan faults;
    faults.only = call;
    faults.result = VK_ERROR_DEVICE_LOST;
    auto engine = Engine::load(options(&faults));
    ASSERT_TRUE(engine) << engine.error().text;
    const auto begun = generate(**engine, kPrompt, 5);
    ASSERT_TRUE(begun) << begun.error().text;
    faults.fail_at = faults.calls() + 1;
    const auto lost = (*engine)->append_and_sample(0, {&begun->back(), 1});
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, DeviceLost) << lost.error().text;
    EXPECT_EQ((*engine)->append_and_sample(0, {&begun->back(), 1}).error().code, DeviceLost);
    engine->reset();

    const auto fresh = Engine::load(options(nullptr));
    ASSERT_TRUE(fresh) << fresh.error().text;
    std::vector<int32_t> text(std::begin(kPrompt), std::end(kPrompt));
    text.insert(text.end(), begun->begin(), begun->end());
    const auto rest = generate(**fresh, text, 7);
    ASSERT_TRUE(rest) << rest.error().text;
    std::vector<int32_t> all = *begun;
    all.insert(all.end(), rest->begin(), rest->end());
    EXPECT_EQ(all, *expected);
  }
}

TEST_F(FaultEngineTest, PlanPredictsTheMemory) {
  write_model({.vocab = 300});
  for (const ActivationType activations : {ActivationType::F32, ActivationType::Q8}) {
    LoadOptions load = options(nullptr);
    load.run.activations = activations;
    const auto engine = Engine::load(load);
    ASSERT_TRUE(engine) << engine.error().text;
    const double planned = double((*engine)->plan().memory.total());
    const double allocated = double((*engine)->device().statistics().bytes_allocated);
    EXPECT_NEAR(planned, allocated, 0.02 * allocated);
    EXPECT_EQ((*engine)->device().statistics().allocations, (*engine)->plan().buffers.size());
  }
}

TEST_F(FaultEngineTest, ASteadyDecodeCreatesNothing) {
  const auto engine = Engine::load(options(nullptr));
  ASSERT_TRUE(engine) << engine.error().text;
  auto tokens = generate(**engine, kPrompt, 2);
  ASSERT_TRUE(tokens) << tokens.error().text;
  const vk::DeviceStatistics before = (*engine)->device().statistics();
  constexpr int kSteps = 300;  // over a page's end
  for (int i = 0; i < kSteps; ++i) {
    const auto next = (*engine)->append_and_sample(0, {&tokens->back(), 1});
    ASSERT_TRUE(next) << next.error().text;
    tokens->push_back(next->token);
  }
  const vk::DeviceStatistics& after = (*engine)->device().statistics();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.bytes_allocated, before.bytes_allocated);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.descriptor_writes, before.descriptor_writes);
  // One each; a step that the machine held up is run in parts the next time.
  EXPECT_GE(after.submissions, before.submissions + kSteps);
  EXPECT_LE(after.submissions, before.submissions + kSteps + kSteps / 10);
}

}  // namespace
}  // namespace pumice
