// Buffers as the plan says, lists as the scheduler says.
#include "tests/rows/graph_runner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/session/statistics.h"
#include "tests/rows/blocks.h"

namespace pumice::test {

Capabilities capabilities(const Tier& tier, const Capabilities& of_device) {
  Capabilities caps = masked(of_device, tier.without);
  if (tier.gpu) caps.is_cpu = false;
  if (tier.max_storage_range != 0)
    caps.max_storage_range = std::min(caps.max_storage_range, tier.max_storage_range);
  return caps;
}

std::shared_ptr<const GgufFile> open_in_memory(const GgufWriter& file) {
  auto opened = open_gguf(own_memory("rows.gguf", file.bytes()));
  return opened ? *opened : nullptr;
}

Result<std::unique_ptr<GraphRunner>> GraphRunner::create(vk::Device& device, const GgufFile& file,
                                                         graph::Graph graph, const Tier& tier,
                                                         RunOptions options) {
  options.activations = tier.activations;
  options.cache = tier.cache;
  options.deterministic = tier.deterministic;
  if (options.context == 0) options.context = 512;
  if (graph.logits == graph::kNone) {  // a row without logits: every plan has some
    graph.logits = graph::outputs(graph.nodes.back()).front();
    graph.n_vocab = graph.values[graph.logits].width;
  }
  PUMICE_TRY_ASSIGN(ModelPlan plan, plan_model(std::move(graph),
                                               capabilities(tier, device.capabilities()), options));
  std::unique_ptr<GraphRunner> runner(new GraphRunner(device, std::move(plan)));
  PUMICE_TRY(runner->allocate());
  PUMICE_TRY(upload_weights(file, runner->plan_, runner->buffers_, device, {}));
  return runner;
}

GraphRunner::~GraphRunner() {
  for (const auto& [shape, command] : commands_) device_.forget(command);
  for (const BufferId id : buffers_.ids) device_.destroy_buffer(id);
}

Result<void> GraphRunner::allocate() {
  for (BufferPlan& buffer : plan_.buffers) {
    buffer.bytes = std::max<uint64_t>(buffer.bytes, 256);
    PUMICE_TRY_ASSIGN(const BufferId id, device_.create_buffer(buffer));
    buffers_.ids.push_back(id);
  }
  // Pages in descending order, so that a kernel which forgets the table is found out.
  const std::span<uint32_t> step = words(plan_.step);
  const StepLayout& layout = plan_.layout;
  for (uint32_t row = 0; row <= plan_.options.max_sequences; ++row)
    for (uint32_t page = 0; page < layout.page_stride; ++page) {
      const uint32_t own = row * layout.page_stride + page;
      step[layout.pages + own] =
          row == plan_.options.max_sequences ? plan_.pages : plan_.pages - 1 - own;
    }
  return {};
}

std::span<uint32_t> GraphRunner::words(BufferSlice slice) {
  const auto bytes = device_.mapped(buffers_.ids[slice.buffer]).subspan(slice.offset, slice.bytes);
  return {reinterpret_cast<uint32_t*>(bytes.data()), bytes.size() / 4};
}

std::span<float> GraphRunner::floats(BufferSlice slice) {
  const auto all = words(slice);
  return {reinterpret_cast<float*>(all.data()), all.size()};
}

void GraphRunner::set_value(graph::ValueId id, const reference::Matrix& value) {
  const graph::ValuePlace& place = plan_.placement.values[id];
  std::vector<float> column(value.rows);
  for (uint32_t c = 0; c < value.columns; ++c) {
    for (uint32_t r = 0; r < value.rows; ++r) column[r] = float(value.column(c)[r]);
    BufferSlice target = buffers_.on_device(plan_.scratch);
    target.offset += place.offset + uint64_t{c} * place.stride * 4;
    target.bytes = column.size() * 4;
    if (written_) written_ = device_.upload(target, std::as_bytes(std::span(column)));
  }
  if (written_) written_ = device_.finish_uploads();
}

reference::Matrix GraphRunner::value(graph::ValueId id, uint32_t columns) {
  const graph::ValuePlace& place = plan_.placement.values[id];
  std::vector<float> copied;
  std::span<const float> scratch;
  if (device_.mapped(buffers_.ids[plan_.scratch.buffer]).empty()) {
    copied.resize(plan_.scratch.bytes / 4);
    const auto read = read_back(plan_, buffers_, device_, plan_.scratch,
                                std::as_writable_bytes(std::span(copied)));
    if (!read) return {};
    scratch = copied;
  } else {
    scratch = floats(plan_.scratch);
  }
  scratch = scratch.subspan(place.offset / 4);
  reference::Matrix out(plan_.graph.values[id].width, columns);
  for (uint32_t c = 0; c < columns; ++c)
    for (uint32_t r = 0; r < out.rows; ++r)
      out.column(c)[r] = double(scratch[size_t(c) * place.stride + r]);
  return out;
}

void GraphRunner::set_tokens(std::span<const reference::TokenAt> tokens) {
  const std::span<uint32_t> step = words(plan_.step);
  const StepLayout& layout = plan_.layout;
  uint32_t outputs = 0;
  for (uint32_t i = 0; i < plan_.max_columns; ++i) {
    const bool real = i < tokens.size();
    step[layout.tokens + i] = real ? tokens[i].id : 0;
    step[layout.positions + i] = real ? tokens[i].place.position : 0;
    step[layout.sequences + i] = real ? tokens[i].place.sequence : plan_.options.max_sequences;
    if (real && tokens[i].output && outputs < plan_.max_output_columns)
      step[layout.outputs + outputs++] = i;
  }
}

Result<void> GraphRunner::run(const StepShape& shape) {
  PUMICE_TRY(std::exchange(written_, {}));
  const auto same = [&](const auto& entry) {
    return entry.first.tokens == shape.tokens && entry.first.outputs == shape.outputs &&
           entry.first.ending == shape.ending && entry.first.advance == shape.advance;
  };
  auto found = std::find_if(commands_.begin(), commands_.end(), same);
  if (found == commands_.end()) {
    PUMICE_TRY_ASSIGN(const std::vector<Dispatch> list, dispatches(shape));
    PUMICE_TRY(device_.prepare(list));
    PUMICE_TRY_ASSIGN(const vk::CommandId command, device_.record(list));
    found = commands_.insert(commands_.end(), {shape, command});
  }
  PUMICE_TRY_ASSIGN(const vk::Ticket ticket, device_.submit(found->second));
  return device_.wait(ticket);
}

Result<std::vector<Dispatch>> GraphRunner::dispatches(const StepShape& shape) const {
  PUMICE_TRY_ASSIGN(std::vector<Dispatch> list, lower(plan_, shape));
  for (Dispatch& dispatch : list)
    for (BufferSlice& slice : dispatch.bindings) slice = buffers_.on_device(slice);
  return list;
}

Result<std::vector<std::string>> GraphRunner::kernels(const StepShape& shape) const {
  PUMICE_TRY_ASSIGN(const std::vector<Dispatch> list, lower(plan_, shape));
  std::vector<std::string> names;
  for (const Dispatch& dispatch : list) names.push_back(dispatch.kernel);
  return names;
}

Result<std::vector<float>> logits_in_steps(GraphRunner& runner, std::span<const uint32_t> ids,
                                           uint32_t first_output, uint32_t chunk) {
  std::vector<float> all;
  for (uint32_t at = 0; at < ids.size(); at += chunk) {
    std::vector<reference::TokenAt> tokens;
    for (uint32_t i = at; i < std::min<size_t>(at + chunk, ids.size()); ++i)
      tokens.push_back({ids[i], {0, i}, i >= first_output});
    runner.set_tokens(tokens);
    const bool wanted = at + tokens.size() > first_output;
    const uint32_t outputs = wanted ? uint32_t(at + tokens.size() - std::max(at, first_output)) : 0;
    PUMICE_TRY(runner.run({chunk, outputs, wanted ? Ending::Logits : Ending::None, false}));
    const uint32_t n_vocab = runner.plan().graph.n_vocab;
    const auto rows = runner.floats(runner.plan().logits_host);
    for (uint32_t row = 0; row < outputs; ++row) {
      const auto from = rows.subspan(size_t(row) * graph::column_stride(n_vocab), n_vocab);
      all.insert(all.end(), from.begin(), from.end());
    }
  }
  return all;
}

reference::Matrix random_matrix(uint32_t rows, uint32_t columns, float size, uint32_t seed) {
  Random random(seed);
  reference::Matrix out(rows, columns);
  for (size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = double(size * uniform(random) * (i % 37 == 36 ? 4.0f : 1.0f));
  return out;
}

std::string broken_bound(const reference::Matrix& actual, const reference::Matrix& expected,
                         const Tolerance& tolerance) {
  if (actual.data.size() != expected.data.size())
    return fmt::format("{} values instead of {}", actual.data.size(), expected.data.size());
  double error = 0, power = 0, largest_error = 0, largest = 0;
  for (size_t i = 0; i < expected.data.size(); ++i) {
    const double difference = std::abs(actual.data[i] - expected.data[i]);
    if (!std::isfinite(difference)) return fmt::format("element {} is {}", i, actual.data[i]);
    error += difference * difference;
    power += expected.data[i] * expected.data[i];
    largest_error = std::max(largest_error, difference);
    largest = std::max(largest, std::abs(expected.data[i]));
  }
  if (error > tolerance.nmse * power)
    return fmt::format("NMSE {:.3g}, at most {:.3g} was expected", error / power, tolerance.nmse);
  if (largest_error > tolerance.largest * largest)
    return fmt::format("an element is off by {:.3g} of the largest, at most {:.3g} was expected",
                       largest_error / largest, tolerance.largest);
  return {};
}

}  // namespace pumice::test
