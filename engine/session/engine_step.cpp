// Steps: words for the device, a run of its commands, and a look at the words it wrote before a
// token is believed.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/session/engine.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
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

void Engine::give_back_pages(Sequence& state) {
  const uint32_t keep = div_up(state.length, PUMICE_PAGE);
  while (state.pages.size() > keep) {
    free_pages_.push_back(state.pages.back());
    state.pages.pop_back();
  }
}

void Engine::rewind(uint32_t sequence, uint32_t length) {
  const auto& columns = work_.columns;
  if (std::any_of(columns.begin(), columns.end(),
                  [&](const StepToken& column) { return column.sequence == sequence; }))
    discard();
  Sequence& state = sequences_[sequence];
  if (length >= state.length) return;
  state.length = length;
  give_back_pages(state);
}

// Gives a sequence the pages that `length` tokens need.
Result<void> Engine::extend(uint32_t sequence, uint64_t length) {
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

// ---- a step in slices

Result<void> Engine::check_token(const StepToken& column) const {
  if (in_step())
    return fail(ErrorCode::BadArgument,
                "a step is in progress; take its result or discard it before the next");
  if (!slices_out_.empty())
    return fail(ErrorCode::BadArgument,
                "{} tickets of an earlier step are out; report them before the next step",
                slices_out_.size());
  if (column.sequence >= sequences_.size())
    return fail(ErrorCode::BadArgument, "sequence {}; the engine was loaded for {}",
                column.sequence, sequences_.size());
  if (column.token < 0 || uint32_t(column.token) >= plan_.graph.n_vocab)
    return fail(ErrorCode::BadArgument, "token id {} is outside the vocabulary of {}", column.token,
                plan_.graph.n_vocab);
  return {};
}

// Checks tokens that a sequence is to be continued with, and gives it the pages.
Result<void> Engine::make_room(uint32_t sequence, std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) PUMICE_TRY(check_token({sequence, token}));
  return extend(sequence, uint64_t{length(sequence)} + tokens.size());
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

Result<void> Engine::begin(uint32_t sequence, std::span<const int32_t> tokens) {
  if (tokens.empty()) return fail(ErrorCode::BadArgument, "nothing to continue from: no tokens");
  return begin_tokens(sequence, tokens, Ending::Sample);
}

Result<void> Engine::begin_tokens(uint32_t sequence, std::span<const int32_t> tokens,
                                  Ending ending) {
  PUMICE_TRY(make_room(sequence, tokens));
  work_.phase = StepPhase::Running;
  work_.sequence = sequence;
  work_.tokens.assign(tokens.begin(), tokens.end());
  work_.next = 0;
  work_.last_ending = ending;
  return ended_by_error(begin_chunk());
}

Result<void> Engine::begin(std::span<const StepToken> tokens) {
  if (tokens.empty() || tokens.size() > plan_.options.max_sequences)
    return fail(ErrorCode::BadArgument, "a step of {} sequences; the engine was loaded for {}",
                tokens.size(), plan_.options.max_sequences);
  for (const StepToken& token : tokens) PUMICE_TRY(check_token(token));
  for (const StepToken& token : tokens)
    PUMICE_TRY(extend(token.sequence, uint64_t{length(token.sequence)} + 1));
  work_.columns.assign(tokens.begin(), tokens.end());
  return begin_columns(uint32_t(tokens.size()), Ending::Sample);
}

// One chunk of tokens whose last `rows` logits rows are shown.
Result<void> Engine::begin_rows(uint32_t sequence, std::span<const int32_t> tokens, uint32_t rows) {
  PUMICE_TRY(make_room(sequence, tokens));
  work_.columns.clear();
  for (const int32_t token : tokens) work_.columns.push_back({sequence, token});
  return begin_columns(rows, Ending::Logits);
}

// The columns that lie in the work already, the last `rows` of them with logits.
Result<void> Engine::begin_columns(uint32_t rows, Ending ending) {
  work_.phase = StepPhase::Running;
  work_.tokens.clear();
  work_.next = 0;
  work_.outputs.clear();
  for (size_t i = work_.columns.size() - rows; i < work_.columns.size(); ++i)
    work_.outputs.push_back(uint32_t(i));
  work_.ending = ending;
  return ended_by_error(begin_list());
}

// The next of the tokens that begin took on; the last chunk ends as was asked.
Result<void> Engine::begin_chunk() {
  const size_t left = work_.tokens.size() - work_.next;
  const uint32_t count = next_chunk(left);
  const bool last = count == left;
  work_.columns.clear();
  for (uint32_t i = 0; i < count; ++i)
    work_.columns.push_back({work_.sequence, work_.tokens[work_.next + i]});
  work_.next += count;
  work_.ending = last ? work_.last_ending : Ending::None;
  work_.outputs.clear();
  if (work_.ending == Ending::Sample) work_.outputs.push_back(count - 1);
  return begin_list();
}

// The words that the list of the chunk at hand reads.
Result<void> Engine::begin_list() {
  const Clock::time_point start = Clock::now();
  const auto columns = uint32_t(work_.columns.size());
  StepShape shape;
  shape.tokens = columns == 1 ? 1 : std::bit_ceil(columns);
  if (plan_.options.max_sequences == 1 && shape.tokens > 1)
    shape.tokens = std::max(shape.tokens, 8u);
  shape.outputs = uint32_t(work_.outputs.size());
  shape.ending = work_.ending;
  last_shape_ = shape;
  PUMICE_TRY_ASSIGN(work_.command, command(shape));
  work_.at = {};
  write_columns(work_.columns, shape.tokens);
  for (uint32_t i = 0; i < work_.outputs.size(); ++i) {
    const uint32_t column = work_.outputs[i];
    step_words_[plan_.layout.outputs + i] = column;
    if (work_.ending == Ending::Sample)
      write_sampling(i, sequences_[work_.columns[column].sequence]);
  }
  last_host_us_ = us_since(start);
  return {};
}

Result<Progress> Engine::advance(double budget_us) {
  if (work_.phase != StepPhase::Running)
    return fail(ErrorCode::BadArgument, "no step is in progress: begin one first");
  if (!slices_out_.empty())
    return fail(ErrorCode::BadArgument,
                "{} tickets of the step are out; report them before it is advanced",
                slices_out_.size());
  if (!(budget_us > 0))
    return fail(ErrorCode::BadArgument, "a budget of {} us; it must be positive", budget_us);
  return ended_by_error(advance_step(budget_us));
}

// The device has run the whole list: its tokens are in the cache, its results can be looked at.
Result<void> Engine::end_list() {
  const Clock::time_point start = Clock::now();
  step_words_[plan_.layout.observed + 1] = 0;
  for (const StepToken& token : work_.columns) ++sequences_[token.sequence].length;
  const bool sample = work_.ending == Ending::Sample;
  work_.sampled.clear();
  Result<void> taken;  // every column is looked at: the counts must stay in step with the device's
  for (uint32_t i = 0; i < work_.outputs.size(); ++i) {
    const uint32_t sequence = work_.columns[work_.outputs[i]].sequence;
    auto result = take_result(i, sample);
    if (!result && taken) {
      const size_t position = length(sequence) - work_.columns.size() + work_.outputs[i];
      taken = sample ? tl::unexpected(std::move(result.error()))
                     : fail_in(fmt::format("position {}", position), std::move(result.error()));
    }
    if (!result || !sample) continue;
    Sequence& state = sequences_[sequence];
    ++state.draws;
    state.history.push_back(result->token);
    if (state.history.size() > PUMICE_HISTORY) state.history.erase(state.history.begin());
    work_.sampled.push_back(*result);
  }
  last_host_us_ += us_since(start);
  return taken;
}

Result<std::span<const Sampled>> Engine::take() {
  if (work_.phase != StepPhase::Finished)
    return fail(ErrorCode::BadArgument, "no result to take: {}",
                in_step() ? "the step is not finished, advance it" : "no step was begun");
  work_.phase = StepPhase::None;
  return work_.sampled;
}

void Engine::discard() {
  if (!in_step()) return;
  const bool half_way = work_.phase == StepPhase::Running;
  work_.phase = StepPhase::None;
  if (half_way && slices_out_.empty()) believe_counts();
  for (const StepToken& token : work_.columns) give_back_pages(sequences_[token.sequence]);
}

// ---- whole steps

Result<void> Engine::append(uint32_t sequence, std::span<const int32_t> tokens) {
  if (tokens.empty()) return {};
  PUMICE_TRY(begin_tokens(sequence, tokens, Ending::None));
  PUMICE_TRY(advance());
  discard();  // nothing to take
  return {};
}

Result<Sampled> Engine::append_and_sample(uint32_t sequence, std::span<const int32_t> tokens) {
  PUMICE_TRY(begin(sequence, tokens));
  PUMICE_TRY(advance());
  PUMICE_TRY_ASSIGN(const std::span<const Sampled> sampled, take());
  return sampled.front();
}

Result<std::vector<Sampled>> Engine::step(std::span<const StepToken> tokens) {
  PUMICE_TRY(begin(tokens));
  PUMICE_TRY(advance());
  PUMICE_TRY_ASSIGN(const std::span<const Sampled> sampled, take());
  return std::vector<Sampled>(sampled.begin(), sampled.end());
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
  PUMICE_TRY(begin_rows(sequence, tokens.subspan(before), rows));
  PUMICE_TRY(advance());
  discard();  // what there is to take lies in the host's view
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

}  // namespace pumice
