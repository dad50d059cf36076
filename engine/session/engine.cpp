// Loading: file, device, plan, buffers, weights, commands. Steps are engine_step.cpp's business.
#include "engine/session/engine.h"

#include <algorithm>
#include <chrono>

#include "engine/graph/fusions.h"
#include "engine/session/device_profile.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::load(const LoadOptions& options) {
  std::unique_ptr<Engine> engine(new Engine());
  const Clock::time_point start = Clock::now();
  PUMICE_TRY(engine->open_model(options));
  engine->load_times_.open_ms = ms_since(start);

  Clock::time_point lap = Clock::now();
  PUMICE_TRY_ASSIGN(engine->device_, options.open_device(options.device));
  engine->load_times_.device_ms = ms_since(lap);

  PUMICE_TRY_ASSIGN(graph::Graph graph, engine->build(options));
  const Capabilities& caps = engine->device_->capabilities();
  RunOptions run = options.run;
  if (!options.profiles.empty()) run.tuning = read_profile(options.profiles, caps);
  PUMICE_TRY_ASSIGN(engine->plan_, plan_model(std::move(graph), caps, run));
  lap = Clock::now();
  PUMICE_TRY(engine->allocate());
  PUMICE_TRY(upload_weights(*engine->file_, engine->plan_, engine->buffers_, *engine->device_,
                            options.progress));
  engine->load_times_.upload_ms = ms_since(lap);

  lap = Clock::now();
  PUMICE_TRY(engine->warm_up());
  if (options.paced) PUMICE_TRY(engine->warm_up_paced());
  engine->load_times_.pipelines_ms = ms_since(lap);
  engine->load_times_.total_ms = ms_since(start);
  return engine;
}

Result<void> Engine::open_model(const LoadOptions& options) {
  file_ = options.file;
  if (!file_) {
    PUMICE_TRY_ASSIGN(file_, open_gguf(options.model));
  }
  PUMICE_TRY_ASSIGN(config_, model::read_config(*file_));
  PUMICE_TRY_ASSIGN(tokenizer_, Tokenizer::create(file_->metadata()));
  return {};
}

Result<graph::Graph> Engine::build(const LoadOptions& options) {
  PUMICE_TRY_ASSIGN(graph::Graph graph, model::build_graph(*file_, {options.run.context}));
  if (options.weights_as_f32)
    for (graph::Weight& weight : graph.weights) weight.type = QuantType::F32;
  graph = graph::fuse(std::move(graph));
  if (options.run.taps.statistics == graph::Statistics::None) return graph;
  PUMICE_TRY_ASSIGN(tapped_layers_, graph::tapped_layers(graph, options.run.taps));
  return graph::add_taps(std::move(graph), options.run.taps);
}

Result<void> Engine::allocate() {
  const uint64_t needed = plan_.memory.total();
  const uint64_t free = device_->capabilities().device_memory_free;
  // Software drivers report a token heap and allocate from the process: only real ones are asked.
  if (!device_->capabilities().is_cpu && free != 0 && needed > free)
    return fail(
        ErrorCode::OutOfMemory,
        "the model needs {} MiB (weights {}, cache {}, scratch {}, statistics {}) and the device "
        "has {} MiB free; use a smaller context (-c) or a smaller quantisation",
        needed >> 20, plan_.memory.weights >> 20, plan_.memory.cache >> 20,
        plan_.memory.scratch >> 20, plan_.memory.statistics >> 20, free >> 20);
  for (const BufferPlan& buffer : plan_.buffers) {
    PUMICE_TRY_ASSIGN(const BufferId id, device_->create_buffer(buffer));
    buffers_.ids.push_back(id);
  }
  const std::span<std::byte> step = device_->mapped(buffers_.ids[plan_.step.buffer]);
  step_words_ = {reinterpret_cast<uint32_t*>(step.data()), step.size() / 4};
  sequences_.resize(plan_.options.max_sequences);
  submissions_.assign(plan_.max_output_columns, 0);
  slices_out_.reserve(vk::kParts);  // what a host's buffer holds must not go unreported
  for (uint32_t page = plan_.pages; page > 0; --page) free_pages_.push_back(page - 1);
  // The scrap sequence's pages all are the one past the pool.
  const StepLayout& layout = plan_.layout;
  step_words_[layout.observed + 1] = 1;
  std::fill_n(step_words_.begin() + layout.pages + plan_.options.max_sequences * layout.page_stride,
              layout.page_stride, plan_.pages);
  return {};
}

// Records the shapes that a chat uses and runs each once: drivers compile at first use.
Result<void> Engine::warm_up() {
  std::vector<StepShape> shapes{{1, 1, Ending::Sample, false}};
  if (plan_.max_columns >= 8) shapes.push_back({8, 1, Ending::Sample, false});
  for (const StepShape& shape : shapes) {
    PUMICE_TRY_ASSIGN(const std::vector<Dispatch> list, lower(plan_, shape));
    if (shape.tokens == 1) {
      dispatches_per_step_ = uint32_t(list.size());
      for (const Dispatch& dispatch : list)
        if (dispatch.kernel.rfind("embed", 0) != 0) weight_bytes_per_step_ += dispatch.weight_bytes;
    }
    PUMICE_TRY_ASSIGN(const StepCommand* recorded, command(shape));
    write_columns({}, shape.tokens);
    PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_->submit(recorded->id));
    PUMICE_TRY(device_->wait(ticket));
    for (uint32_t column = 0; column < shape.outputs; ++column) ++submissions_[column];
  }
  return {};
}

std::vector<Dispatch> Engine::bind(std::vector<Dispatch> list) const {
  for (Dispatch& dispatch : list) {
    for (BufferSlice& slice : dispatch.bindings) slice = buffers_.on_device(slice);
    if (dispatch.indirect.buffer != kNoBuffer)
      dispatch.indirect = buffers_.on_device(dispatch.indirect);
  }
  return list;
}

Result<StepCommand*> Engine::command(const StepShape& shape) {
  const ShapeKey key{shape.tokens, shape.outputs, uint32_t(shape.ending), shape.advance ? 1u : 0u};
  if (const auto found = commands_.find(key); found != commands_.end()) return &found->second;
  PUMICE_TRY_ASSIGN(std::vector<Dispatch> list, lower(plan_, shape));
  list = bind(std::move(list));
  PUMICE_TRY(device_->prepare(list));
  PUMICE_TRY_ASSIGN(const vk::CommandId id, device_->record(list));
  return &commands_.emplace(key, StepCommand{id, pacer_.classify(list)}).first->second;
}

void Engine::set_sampling(uint32_t sequence, const SamplingOptions& options, uint32_t draws) {
  sequences_[sequence].sampling = options;
  sequences_[sequence].draws = draws;
}

void Engine::set_history(uint32_t sequence, std::span<const int32_t> tokens) {
  const size_t keep = std::min<size_t>(tokens.size(), PUMICE_HISTORY);
  sequences_[sequence].history.assign(tokens.end() - keep, tokens.end());
}

Result<std::vector<TapStatistics>> Engine::take_statistics() {
  PUMICE_TRY_ASSIGN(std::vector<TapStatistics> taken, read_statistics(plan_, buffers_, *device_));
  uint32_t& from_zero = step_words_[plan_.layout.observed + 1];
  if (from_zero != 0)  // no step since the last call, whose sums still lie there
    for (TapStatistics& tap : taken) tap.clear();
  from_zero = 1;
  return taken;
}

Result<void> Engine::set_weight(std::string_view name, std::span<const float> values) {
  return replace_tensor(*file_, plan_, buffers_, *device_, name, values, replaced_vectors_);
}

Result<std::vector<vk::Timing>> Engine::timings(const StepShape& shape) {
  PUMICE_TRY_ASSIGN(const StepCommand* recorded, command(shape));
  PUMICE_TRY_ASSIGN(std::vector<vk::Timing> timings, device_->timings(recorded->id));
  if (recorded->in_parts)
    for (size_t i = 0; i < timings.size(); ++i)
      timings[i].microseconds = pacer_.mean_us(recorded->list.classes[i]);
  return timings;
}

}  // namespace pumice
