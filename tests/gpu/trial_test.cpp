// Quantised weights on trial in a running engine: what goes in comes out again, to the last bit.
#include "engine/quant/trial.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/quant/prediction.h"
#include "loader/codec.h"
#include "tests/unit/quant/samples.h"

namespace pumice::quant {
namespace {

const std::string kSmall = PUMICE_ORACLE_DIR "/real/dreams260K-f32.gguf";

class OnTrial : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSmall)) GTEST_SKIP() << kSmall << " is not here";
    LoadOptions options;
    options.model = kSmall;
    options.run = evaluation_run(32, ActivationType::F32, CacheType::F32);
    options.run.deterministic = true;
    options.weights_as_f32 = true;
    auto engine = Engine::load(options);
    if (!engine && engine.error().code == ErrorCode::NoDevice) GTEST_SKIP() << engine.error().text;
    ASSERT_TRUE(engine) << engine.error().text;
    engine_ = std::move(*engine);
    std::vector<int32_t> tokens(64);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = int32_t(260 + i * 37 % 200);
    text_ = *cut_chunks(std::move(tokens), 1, {32, 0, false}, "made up");
  }
  [[nodiscard]] const TensorInfo& tensor(const char* name) const {
    return *engine_->file().find_tensor(name);
  }
  std::unique_ptr<Engine> engine_;
  EvaluationText text_;
};

TEST_F(OnTrial, RestoringIsExact) {
  auto trial = Trial::start(*engine_, engine_->file(), text_);
  ASSERT_TRUE(trial) << trial.error().text;
  EXPECT_EQ(*trial->kld(), 0.0);
  for (const char* name : {"token_embd.weight", "blk.0.attn_q.weight", "blk.2.ffn_up.weight"}) {
    const Result<double> coarse = trial->put(tensor(name), QuantType::Q4_0);
    ASSERT_TRUE(coarse) << coarse.error().text;
    const double coarse_kld = *trial->kld();
    const Result<double> fine = trial->put(tensor(name), QuantType::Q8_0);
    ASSERT_TRUE(fine) << fine.error().text;
    EXPECT_LT(*fine, *coarse / 50);
    EXPECT_EQ(*fine, *trial->error_of(tensor(name), QuantType::Q8_0));
    EXPECT_GT(coarse_kld, 0.0) << name;
    EXPECT_LT(*trial->kld(), coarse_kld) << name;
    ASSERT_TRUE(trial->restore(tensor(name)));
    EXPECT_EQ(*trial->kld(), 0.0) << name;
  }
  EXPECT_FALSE(trial->put(tensor("token_embd.weight"), QuantType::Q4_K));  // rows of 64
  EXPECT_EQ(*trial->kld(), 0.0);
}

TEST_F(OnTrial, OnlyPositionsThatCountAreMeasured) {
  auto trial = Trial::start(*engine_, engine_->file(), text_);
  ASSERT_TRUE(trial) << trial.error().text;
  ASSERT_TRUE(trial->put(tensor("blk.0.attn_q.weight"), QuantType::Q4_0));
  const std::vector<double> all = *trial->klds();
  ASSERT_EQ(all.size(), text_.scored());
  const uint64_t before = measurement_hash(text_);
  text_.counted.assign(text_.scored(), 0);
  for (const size_t i : {3, 17}) text_.counted[i] = 1;
  EXPECT_EQ(*trial->kld(), (all[3] + all[17]) / 2);
  EXPECT_NE(measurement_hash(text_), before);
  text_.counted.pop_back();
  EXPECT_EQ(trial->klds().error().code, ErrorCode::BadArgument);
}

TEST_F(OnTrial, SensitivitiesPredictRandomAllocations) {
  auto trial = Trial::start(*engine_, engine_->file(), text_);
  ASSERT_TRUE(trial) << trial.error().text;
  SensitivityOptions options;
  options.anchors = 1;
  const auto sensitivity = measure_sensitivity(*trial, options);
  ASSERT_TRUE(sensitivity) << sensitivity.error().text;
  EXPECT_EQ(sensitivity->tensors.size(), 30u);  // all but norms
  EXPECT_EQ(*trial->kld(), 0.0);
  const auto check = check_prediction(*trial, *sensitivity, 8, 1);
  ASSERT_TRUE(check) << check.error().text;
  std::cout << "Spearman of 8: " << check->spearman << "\n";
  EXPECT_GT(check->spearman, 0.5);
  EXPECT_EQ(*trial->kld(), 0.0);
  // One tensor alone was measured, not predicted.
  std::vector<QuantType> types(sensitivity->tensors.size(), QuantType::F32);
  const size_t anchor = anchors_of(sensitivity->tensors[0], 1)[0];
  types[0] = sensitivity->candidates[anchor];
  EXPECT_EQ(*measure_allocation(*trial, *sensitivity, types), sensitivity->tensors[0].kld[anchor]);
}

TEST_F(OnTrial, ErrorFeedbackGoesInAsItWouldIntoAFile) {
  const TensorInfo& put = tensor("blk.0.attn_q.weight");
  const uint64_t width = put.shape[0];
  ImportanceMatrix importance;
  ActivationStatistics& known = importance.tensors[std::string(put.name)];
  known.width = width;
  known.counts = {300};
  auto gram = std::make_shared<Gram>(test::correlated_gram(width, 300, 5));
  for (uint64_t i = 0; i < width; ++i) known.sum_squares.push_back((*gram)[i * width + i]);
  known.gram = gram;

  std::vector<float> weights(put.n_weights);
  ASSERT_TRUE(read_weights(engine_->file(), put, weights, 1));
  std::vector<std::byte> blocks(bytes_as(QuantType::Q4_0, put));
  ErrorFeedback::prepare(QuantType::Q4_0, *gram, width)->encode_rows(weights, blocks);
  decode_row(QuantType::Q4_0, blocks.data(), weights.size(), weights.data());

  const ErrorFeedbackOptions feedback;
  const TrialOptions with = {.importance = &importance, .feedback = &feedback},
                     without = {.importance = &importance};
  auto fed = Trial::start(*engine_, engine_->file(), text_, with);
  ASSERT_TRUE(fed) << fed.error().text;
  EXPECT_TRUE(fed->feeds());
  const double error = *fed->put(put, QuantType::Q4_0), kld = *fed->kld();
  ASSERT_TRUE(engine_->set_weight(put.name, weights));
  EXPECT_EQ(*fed->kld(), kld);
  ASSERT_TRUE(fed->restore(put));
  EXPECT_EQ(*fed->kld(), 0.0);

  auto plain = Trial::start(*engine_, engine_->file(), text_, without);
  ASSERT_TRUE(plain) << plain.error().text;
  EXPECT_FALSE(plain->feeds());
  EXPECT_EQ(*plain->put(put, QuantType::Q4_0), error);  // of plain rounding: comparable by type
  EXPECT_NE(*plain->kld(), kld);
  ASSERT_TRUE(plain->restore(put));
}

TEST_F(OnTrial, StopsAndLeavesTheModelAsItWas) {
  auto trial = Trial::start(*engine_, engine_->file(), text_);
  ASSERT_TRUE(trial);
  SensitivityOptions options;
  options.progress = [](uint64_t done, uint64_t) { return done < 300; };
  const auto stopped = measure_sensitivity(*trial, options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::Cancelled);
  EXPECT_EQ(*trial->kld(), 0.0);
}

}  // namespace
}  // namespace pumice::quant
