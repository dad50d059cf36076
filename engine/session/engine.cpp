// Loading and stepping. A step writes a few words, submits one recorded command, waits, and checks
// the words the device wrote before a token is believed.
#include "engine/session/engine.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/graph/fusions.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

shared::SampleSettings settings_of(const SamplingOptions& options, uint32_t history,
                                   uint32_t draws) {
  return {options.temperature,
          options.top_k,
          options.top_p,
          options.min_p,
          options.repeat_penalty,
          std::min(options.repeat_last, PUMICE_HISTORY),
          history,
          uint32_t(options.seed),
          uint32_t(options.seed >> 32),
          draws};
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
  PUMICE_TRY_ASSIGN(engine->plan_,
                    plan_model(std::move(graph), engine->device_->capabilities(), options.run));
  lap = Clock::now();
  PUMICE_TRY(engine->allocate());
  PUMICE_TRY(upload_weights(*engine->file_, engine->plan_, engine->buffers_, *engine->device_,
                            options.progress));
  engine->load_times_.upload_ms = ms_since(lap);

  lap = Clock::now();
  PUMICE_TRY(engine->warm_up());
  engine->load_times_.pipelines_ms = ms_since(lap);
  engine->load_times_.total_ms = ms_since(start);
  return engine;
}

Result<void> Engine::open_model(const LoadOptions& options) {
  PUMICE_TRY_ASSIGN(file_, open_gguf(options.model));
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
    PUMICE_TRY_ASSIGN(const vk::CommandId id, command(shape));
    write_columns({}, shape.tokens);
    PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_->submit(id));
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

Result<vk::CommandId> Engine::command(const StepShape& shape) {
  const ShapeKey key{shape.tokens, shape.outputs, uint32_t(shape.ending), shape.advance ? 1u : 0u};
  if (const auto found = commands_.find(key); found != commands_.end()) return found->second;
  PUMICE_TRY_ASSIGN(std::vector<Dispatch> list, lower(plan_, shape));
  list = bind(std::move(list));
  PUMICE_TRY(device_->prepare(list));
  PUMICE_TRY_ASSIGN(const vk::CommandId id, device_->record(list));
  commands_.emplace(key, id);
  return id;
}

void Engine::rewind(uint32_t sequence, uint32_t length) {
  Sequence& state = sequences_[sequence];
  if (length >= state.length) return;
  state.length = length;
  const uint32_t keep = div_up(length, PUMICE_PAGE);
  while (state.pages.size() > keep) {
    free_pages_.push_back(state.pages.back());
    state.pages.pop_back();
  }
}

void Engine::set_sampling(uint32_t sequence, const SamplingOptions& options) {
  sequences_[sequence].sampling = options;
  sequences_[sequence].draws = 0;
}

void Engine::set_history(uint32_t sequence, std::span<const int32_t> tokens) {
  const size_t keep = std::min<size_t>(tokens.size(), PUMICE_HISTORY);
  sequences_[sequence].history.assign(tokens.end() - keep, tokens.end());
}

Result<void> Engine::check_tokens(std::span<const StepToken> tokens) const {
  for (const StepToken& step : tokens) {
    if (step.sequence >= sequences_.size())
      return fail(ErrorCode::BadArgument, "sequence {}; the engine was loaded for {}",
                  step.sequence, sequences_.size());
    if (step.token < 0 || uint32_t(step.token) >= plan_.graph.n_vocab)
      return fail(ErrorCode::BadArgument, "token id {} is outside the vocabulary of {}", step.token,
                  plan_.graph.n_vocab);
  }
  return {};
}

// Gives a sequence the pages that `length` tokens need.
Result<void> Engine::extend(uint32_t sequence, uint32_t length) {
  if (length > plan_.options.context)
    return fail(ErrorCode::ContextFull,
                "{} tokens do not fit the context of {}; start with a larger one (-c) or a shorter "
                "text",
                length, plan_.options.context);
  Sequence& state = sequences_[sequence];
  while (state.pages.size() * PUMICE_PAGE < length) {
    const uint32_t row = plan_.layout.pages + sequence * plan_.layout.page_stride;
    step_words_[row + state.pages.size()] = free_pages_.back();
    state.pages.push_back(free_pages_.back());
    free_pages_.pop_back();
  }
  return {};
}

// Real columns first; the rest of the shape works on the scrap sequence.
void Engine::write_columns(std::span<const StepToken> tokens, uint32_t columns) {
  const StepLayout& layout = plan_.layout;
  step_words_[layout.observed] = uint32_t(tokens.size());
  std::vector<uint32_t> positions(sequences_.size());
  for (size_t i = 0; i < sequences_.size(); ++i) positions[i] = sequences_[i].length;
  for (uint32_t i = 0; i < columns; ++i) {
    const bool real = i < tokens.size();
    step_words_[layout.tokens + i] = real ? uint32_t(tokens[i].token) : 0;
    step_words_[layout.positions + i] = real ? positions[tokens[i].sequence]++ : 0;
    step_words_[layout.sequences + i] = real ? tokens[i].sequence : plan_.options.max_sequences;
  }
}

void Engine::write_sampling(uint32_t column, const Sequence& sequence) {
  const shared::SampleSettings settings =
      settings_of(sequence.sampling, uint32_t(sequence.history.size()), sequence.draws);
  std::memcpy(&step_words_[plan_.layout.settings + column * PUMICE_SETTINGS_WORDS], &settings,
              sizeof(settings));
  uint32_t* history = &step_words_[plan_.layout.history + column * PUMICE_HISTORY];
  for (size_t i = 0; i < sequence.history.size(); ++i) history[i] = uint32_t(sequence.history[i]);
}

Result<void> Engine::run(std::span<const StepToken> tokens, std::span<const uint32_t> outputs,
                         Ending ending) {
  const Clock::time_point start = Clock::now();
  StepShape shape;
  shape.tokens = tokens.size() == 1 ? 1 : uint32_t(std::bit_ceil(tokens.size()));
  if (plan_.options.max_sequences == 1 && shape.tokens > 1)
    shape.tokens = std::max(shape.tokens, 8u);
  shape.outputs = uint32_t(outputs.size());
  shape.ending = ending;
  PUMICE_TRY_ASSIGN(const vk::CommandId id, command(shape));
  write_columns(tokens, shape.tokens);
  for (uint32_t i = 0; i < outputs.size(); ++i) {
    step_words_[plan_.layout.outputs + i] = outputs[i];
    if (ending == Ending::Sample) write_sampling(i, sequences_[tokens[outputs[i]].sequence]);
  }
  PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_->submit(id));
  const Clock::time_point submitted = Clock::now();
  PUMICE_TRY(device_->wait(ticket));
  const Clock::time_point waited = Clock::now();
  step_words_[plan_.layout.observed + 1] = 0;
  for (const StepToken& token : tokens) ++sequences_[token.sequence].length;
  last_host_us_ = std::chrono::duration<double, std::micro>(submitted - start).count() +
                  std::chrono::duration<double, std::micro>(Clock::now() - waited).count();
  return {};
}

Result<Sampled> Engine::take_result(uint32_t column, bool sampled) {
  const std::span<std::byte> bytes = device_->mapped(buffers_.ids[plan_.result.buffer]);
  shared::SampleResult result;
  std::memcpy(&result, bytes.data() + column * sizeof(result), sizeof(result));
  const uint32_t expected = ++submissions_[column];
  if (result.sequence != expected) {
    submissions_[column] = result.sequence;
    return fail(ErrorCode::DeviceLost,
                "the device answered step {} where {} was submitted: its work was lost; reload the "
                "model",
                result.sequence, expected);
  }
  if (result.finite == 0)
    return fail(ErrorCode::NonFinite,
                "the model computed NaN or infinity; the file's weights are damaged or overflow "
                "(try --act f32 --kv f32)");
  if (sampled && result.token >= plan_.graph.n_vocab)
    return fail(ErrorCode::Driver, "the device picked token {} of a vocabulary of {}", result.token,
                plan_.graph.n_vocab);
  return Sampled{int32_t(result.token), result.hash};
}

// Columns of the next step: whole chunks, then powers of two, then what is left padded to 8.
uint32_t Engine::next_chunk(size_t remaining) const {
  const uint32_t most = std::bit_floor(plan_.options.max_chunk);
  if (remaining >= most) return most;
  const uint32_t below = uint32_t(std::bit_floor(remaining));
  const uint32_t above = below * 2;
  return remaining * 4 >= above * 3 || remaining < 8 ? uint32_t(remaining) : below;
}

Result<void> Engine::append(uint32_t sequence, std::span<const int32_t> tokens) {
  while (!tokens.empty()) {
    const uint32_t count = next_chunk(tokens.size());
    std::vector<StepToken> columns;
    for (const int32_t token : tokens.first(count)) columns.push_back({sequence, token});
    PUMICE_TRY(check_tokens(columns));
    PUMICE_TRY(extend(sequence, length(sequence) + count));
    PUMICE_TRY(run(columns, {}, Ending::None));
    tokens = tokens.subspan(count);
  }
  return {};
}

Result<Sampled> Engine::append_and_sample(uint32_t sequence, std::span<const int32_t> tokens) {
  if (tokens.empty()) return fail(ErrorCode::BadArgument, "nothing to continue from: no tokens");
  size_t last = next_chunk(tokens.size());
  while (last < tokens.size()) {
    PUMICE_TRY(append(sequence, tokens.first(last)));
    tokens = tokens.subspan(last);
    last = next_chunk(tokens.size());
  }
  std::vector<StepToken> columns;
  for (const int32_t token : tokens) columns.push_back({sequence, token});
  PUMICE_TRY(check_tokens(columns));
  PUMICE_TRY(extend(sequence, length(sequence) + uint32_t(columns.size())));
  const uint32_t output = uint32_t(columns.size() - 1);
  PUMICE_TRY(run(columns, {&output, 1}, Ending::Sample));
  PUMICE_TRY_ASSIGN(const Sampled sampled, take_result(0, true));
  Sequence& state = sequences_[sequence];
  ++state.draws;
  state.history.push_back(sampled.token);
  if (state.history.size() > PUMICE_HISTORY) state.history.erase(state.history.begin());
  return sampled;
}

Result<std::vector<Sampled>> Engine::step(std::span<const StepToken> tokens) {
  if (tokens.empty() || tokens.size() > plan_.options.max_sequences)
    return fail(ErrorCode::BadArgument, "a step of {} sequences; the engine was loaded for {}",
                tokens.size(), plan_.options.max_sequences);
  PUMICE_TRY(check_tokens(tokens));
  std::vector<uint32_t> outputs(tokens.size());
  for (uint32_t i = 0; i < tokens.size(); ++i) {
    outputs[i] = i;
    PUMICE_TRY(extend(tokens[i].sequence, length(tokens[i].sequence) + 1));
  }
  PUMICE_TRY(run(tokens, outputs, Ending::Sample));
  std::vector<Sampled> picked;
  for (uint32_t i = 0; i < tokens.size(); ++i) {
    PUMICE_TRY_ASSIGN(const Sampled sampled, take_result(i, true));
    Sequence& state = sequences_[tokens[i].sequence];
    ++state.draws;
    state.history.push_back(sampled.token);
    if (state.history.size() > PUMICE_HISTORY) state.history.erase(state.history.begin());
    picked.push_back(sampled);
  }
  return picked;
}

Result<LogitsView> Engine::append_and_view(uint32_t sequence, std::span<const int32_t> tokens,
                                           uint32_t rows) {
  if (rows == 0 || rows > tokens.size() || rows > most_rows())
    return fail(ErrorCode::BadArgument, "{} logits rows of {} tokens; a step of this engine has {}",
                rows, tokens.size(), most_rows());
  const auto padded = [](size_t n) { return std::bit_ceil(n); };
  size_t before = tokens.size() - rows;
  // One step for all where padding to a power of two costs no more than two steps do.
  if (tokens.size() <= plan_.options.max_chunk &&
      padded(tokens.size()) <= padded(std::max<size_t>(before, 8)) + padded(rows))
    before = 0;
  PUMICE_TRY(append(sequence, tokens.first(before)));
  tokens = tokens.subspan(before);
  std::vector<StepToken> columns;
  for (const int32_t token : tokens) columns.push_back({sequence, token});
  std::vector<uint32_t> outputs;
  for (size_t i = tokens.size() - rows; i < tokens.size(); ++i) outputs.push_back(uint32_t(i));
  PUMICE_TRY(check_tokens(columns));
  PUMICE_TRY(extend(sequence, length(sequence) + uint32_t(columns.size())));
  PUMICE_TRY(run(columns, outputs, Ending::Logits));
  Result<void> taken;  // every column is looked at: the counts must stay in step with the device's
  for (uint32_t i = 0; i < rows; ++i)
    if (auto result = take_result(i, false); !result && taken)
      taken = fail_in(fmt::format("position {}", length(sequence) - rows + i), result.error());
  PUMICE_TRY(std::move(taken));
  const std::span<std::byte> bytes = device_->mapped(buffers_.ids[plan_.logits_host.buffer]);
  return LogitsView{reinterpret_cast<const float*>(bytes.data()), rows, plan_.graph.n_vocab,
                    graph::column_stride(plan_.graph.n_vocab)};
}

Result<std::vector<float>> Engine::logits(uint32_t sequence, std::span<const int32_t> tokens) {
  std::vector<float> rows;
  rows.reserve(uint64_t{plan_.graph.n_vocab} * tokens.size());
  while (!tokens.empty()) {
    const uint32_t count = std::min(next_chunk(tokens.size()), plan_.options.max_outputs);
    PUMICE_TRY_ASSIGN(const LogitsView view, append_and_view(sequence, tokens.first(count), count));
    for (uint32_t i = 0; i < count; ++i)
      rows.insert(rows.end(), view.row(i).begin(), view.row(i).end());
    tokens = tokens.subspan(count);
  }
  return rows;
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
  PUMICE_TRY_ASSIGN(const vk::CommandId id, command(shape));
  return device_->timings(id);
}

}  // namespace pumice
