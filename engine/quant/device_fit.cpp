// Owns the buffers and commands of the search on a device, and the way of its results back.
#include "engine/quant/device_fit.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <vector>

#include "engine/base/checked.h"
#include "engine/quant/fit.h"
#include "shaders/shared/fit_push.h"

namespace pumice::quant {
namespace {

constexpr size_t kMostCommands = 32;  ///< kept, before all are forgotten

/// Words of what the kernel finds for a block.
uint32_t fit_words(const FitPlan& plan) {
  return PUMICE_FIT_HEAD + uint32_t(plan.groups);
}

constexpr uint64_t kImportanceBytes = DeviceFit::kMostWeights * sizeof(float);
constexpr uint64_t kFitBytes = DeviceFit::kMostWeights / 32 * (PUMICE_FIT_HEAD + 1) * 4;
static_assert(kFitBytes >= DeviceFit::kMostWeights / 256 * (PUMICE_FIT_HEAD + 16) * 4);

std::vector<uint32_t> push_words(const FitPlan& plan, uint32_t blocks, uint32_t quads) {
  shared::FitPush push = {};
  push.blocks = blocks;
  push.importance_quads = quads;
  push.low = plan.low, push.high = plan.high;
  push.scale_low = plan.scale_low, push.scale_high = plan.scale_high;
  push.minimum_high = plan.minimum_high;
  push.t_first = plan.t_first, push.t_step = plan.t_step;
  push.divisor_first = plan.divisor_first;
  std::vector<uint32_t> words(sizeof push / sizeof(uint32_t));
  std::memcpy(words.data(), &push, sizeof push);
  return words;
}

}  // namespace

Dispatch fit_dispatch(const FitPlan& plan) {
  const bool affine = plan.kind == FitKind::Minimum || plan.kind == FitKind::MinimumSuper;
  Dispatch dispatch;
  dispatch.kernel = fmt::format("fit_{}.{}", affine ? "affine" : "signed", plan.group_weights);
  if (plan.levels == LevelKind::Iq4) dispatch.kernel = "fit_signed.iq4";
  if (plan.levels == LevelKind::E2m1) dispatch.kernel = "fit_signed.e2m1";
  for (const int number : {plan.groups, plan.starts, plan.passes, plan.scale_window,
                           plan.minimum_window, plan.divisors, plan.segments, plan.rounds})
    dispatch.constants.push_back(uint32_t(number));
  dispatch.constants.push_back(plan.mirrored ? 1 : 0);
  return dispatch;
}

Result<std::unique_ptr<DeviceFit>> DeviceFit::create(vk::Device& device) {
  std::unique_ptr<DeviceFit> fit(new DeviceFit(device));
  const struct {
    BufferId DeviceFit::*id;
    BufferPlan plan;
  } rows[] = {
      {&DeviceFit::weights_,
       {"weights to fit", kMostWeights * sizeof(float), BufferDomain::Upload, true}},
      {&DeviceFit::importance_,
       {"importance of their columns", kImportanceBytes, BufferDomain::Upload, true}},
      {&DeviceFit::fits_, {"fitted scales", kFitBytes, BufferDomain::Readback, true}},
  };
  for (const auto& row : rows) {
    PUMICE_TRY_ASSIGN(fit.get()->*row.id, device.create_buffer(row.plan));
    if (device.mapped(fit.get()->*row.id).empty())
      return fail(ErrorCode::Driver, "buffer '{}': {} hides it from the host", row.plan.name,
                  device.capabilities().device_name);
  }
  return fit;
}

DeviceFit::~DeviceFit() {
  forget_commands();
  for (const BufferId buffer : {weights_, importance_, fits_})
    if (buffer != kNoBuffer) device_.destroy_buffer(buffer);
}

void DeviceFit::forget_commands() {
  for (const auto& [key, id] : commands_) device_.forget(id);
  commands_.clear();
}

Result<vk::CommandId> DeviceFit::command(const Key& key) {
  if (const auto found = commands_.find(key); found != commands_.end()) return found->second;
  if (commands_.size() == kMostCommands) forget_commands();
  const auto [type, blocks, quads] = key;
  const FitPlan& plan = *fit_plan(type);
  Dispatch dispatch = fit_dispatch(plan);
  const uint64_t weight_bytes = uint64_t(blocks) * info(type).block_weights * sizeof(float);
  const uint64_t importance_bytes = std::max<uint64_t>(quads, 1) * 4 * sizeof(float);
  dispatch.bindings = {{weights_, 0, weight_bytes},
                       {importance_, 0, importance_bytes},
                       {fits_, 0, uint64_t(blocks) * fit_words(plan) * sizeof(uint32_t)}};
  dispatch.push = push_words(plan, blocks, quads);
  dispatch.groups[0] = div_up(blocks * uint32_t(plan.groups), PUMICE_FIT_LANES);
  dispatch.label = fmt::format("fit {}", info(type).name);
  PUMICE_TRY_ASSIGN(const vk::CommandId id, device_.record({&dispatch, 1}));
  commands_.emplace(key, id);
  return id;
}

Result<void> DeviceFit::run(const Key& key) {
  PUMICE_TRY_ASSIGN(const vk::CommandId id, command(key));
  PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_.submit(id));
  return device_.wait(ticket);
}

Result<void> DeviceFit::fit(QuantType type, std::span<const float> weights,
                            std::span<const float> importance, std::span<BlockFit> out) {
  assert(fit_plan(type) && weights.size() <= kMostWeights && !out.empty());
  assert(weights.size() == out.size() * info(type).block_weights);
  assert(importance.size() % info(type).block_weights == 0);
  // Rows beyond the first have the same columns, and of a longer row no more is read.
  const auto columns = importance.first(std::min(importance.size(), weights.size()));
  std::memcpy(device_.mapped(weights_).data(), weights.data(), weights.size_bytes());
  if (!columns.empty())
    std::memcpy(device_.mapped(importance_).data(), columns.data(), columns.size_bytes());
  PUMICE_TRY(run({type, uint32_t(out.size()), uint32_t(columns.size() / 4)}));
  read(type, weights, columns, out);
  return {};
}

void DeviceFit::read(QuantType type, std::span<const float> weights,
                     std::span<const float> importance, std::span<BlockFit> out) {
  const FitPlan& plan = *fit_plan(type);
  const size_t block_weights = info(type).block_weights;
  const std::byte* at = device_.mapped(fits_).data();
  std::vector<uint32_t> words(fit_words(plan));
  std::vector<size_t> left;  // blocks for the CPU
  std::vector<BlockSource> sources;
  for (size_t block = 0; block < out.size(); ++block, at += words.size() * sizeof(uint32_t)) {
    std::memcpy(words.data(), at, words.size() * sizeof(uint32_t));
    if (words[0] == PUMICE_FIT_UNSURE) {
      const size_t first = block * block_weights;
      left.push_back(block);
      sources.push_back(
          {weights.data() + first,
           importance.empty() ? nullptr : importance.data() + first % importance.size()});
      continue;
    }
    BlockFit& fit = out[block] = {};
    fit.d = std::bit_cast<float>(words[0]);
    fit.dmin = std::bit_cast<float>(words[1]);
    for (size_t group = 0; group < size_t(plan.groups); ++group) {
      fit.scale[group] = int16_t(words[PUMICE_FIT_HEAD + group] & 0xFFFF);
      fit.minimum[group] = int16_t(words[PUMICE_FIT_HEAD + group] >> 16);
    }
  }
  std::vector<BlockFit> fits(left.size());
  quant::fit(type, sources, fits);
  for (size_t i = 0; i < left.size(); ++i) out[left[i]] = fits[i];
  left_to_cpu_ += left.size();
}

}  // namespace pumice::quant
