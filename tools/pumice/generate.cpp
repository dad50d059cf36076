#include "generate.h"

#include <nlohmann/json.hpp>

#include "engine/base/platform.h"
#include "output.h"

namespace pumice::command {
namespace {

/// Between two looks for Ctrl-C while a prompt of several chunks is read; else a step is whole.
constexpr double kPieceMicroseconds = 100'000;

double rate(double amount, double seconds) {
  return seconds > 0.0 ? amount / seconds : 0.0;
}

double decode_gigabytes_per_second(const Engine& engine, const Reply& reply) {
  return rate(double(engine.weight_bytes_per_step()) * double(reply.figures.steps) * 1e-9,
              reply.figures.decode_seconds);
}

}  // namespace

tl::expected<Reply, Failure> generate(Engine& engine, Session& session, const TextSink& sink) {
  Conversation& conversation = session.conversation();
  Reply reply;
  for (bool running = true; running;) {
    if (interrupts() > 0) {
      if (conversation.activity() == Activity::Reading)
        return tl::unexpected<Failure>(Failure(kFailed, "interrupted while reading the prompt"));
      conversation.stop();
    }
    const bool chunks = session.unread_tokens() > engine.plan().options.max_chunk;
    PUMICE_TRY(session.advance(engine, chunks ? kPieceMicroseconds : kNoBudget));
    running = conversation.activity() != Activity::Idle;
    const std::string text(conversation.unread());
    conversation.take_unread(text.size());
    reply.text += text;
    if (text.empty()) continue;
    if (Outcome written = sink(text); !written) return tl::unexpected<Failure>(written.error());
  }
  reply.end = conversation.messages().back().end;
  reply.figures = session.figures();
  return reply;
}

std::string statistics_text(Engine& engine, const Reply& reply, uint64_t seed) {
  const LoadTimes& load = engine.load_times();
  const MemoryPlan& memory = engine.plan().memory;
  const ReplyFigures& figures = reply.figures;
  std::string text = fmt::format(
      "load    {:.3f} s (file {:.0f} ms, device {:.0f} ms, weights {:.0f} ms, pipelines {:.0f} "
      "ms)\n",
      load.total_ms / 1000.0, load.open_ms, load.device_ms, load.upload_ms, load.pipelines_ms);
  text += fmt::format("prompt  {} tokens in {:.3f} s, {:.1f} tokens/s\n", figures.prompt_tokens,
                      figures.prompt_seconds,
                      rate(double(figures.prompt_tokens), figures.prompt_seconds));
  text += fmt::format(
      "decode  {} tokens in {:.3f} s, {:.1f} tokens/s, {:.2f} GB/s, host {:.0f} us "
      "per token beyond the wait\n",
      figures.tokens, figures.decode_seconds, rate(double(figures.steps), figures.decode_seconds),
      decode_gigabytes_per_second(engine, reply), rate(figures.host_us, double(figures.steps)));
  text += fmt::format(
      "memory  planned {} (weights {}, cache {}, scratch {}), device {}, host peak {}\n",
      bytes_text(memory.total()), bytes_text(memory.weights), bytes_text(memory.cache),
      bytes_text(memory.scratch), bytes_text(engine.device().statistics().bytes_allocated),
      bytes_text(peak_resident_memory()));
  text += fmt::format("device  {}; {}; {} dispatches a token\n",
                      printable(engine.device().capabilities().device_name),
                      describe(engine.plan().policy), engine.dispatches_per_step());
  text += fmt::format("logits  hash {:016x}, seed {}\n", figures.logits_hash, seed);
  return text;
}

nlohmann::ordered_json statistics_json(Engine& engine, const Reply& reply, uint64_t seed) {
  const LoadTimes& load = engine.load_times();
  const ReplyFigures& figures = reply.figures;
  return {{"load_seconds", load.total_ms / 1000.0},
          {"prompt_tokens", figures.prompt_tokens},
          {"prompt_tokens_per_second", rate(double(figures.prompt_tokens), figures.prompt_seconds)},
          {"tokens", figures.tokens},
          {"decode_tokens_per_second", rate(double(figures.steps), figures.decode_seconds)},
          {"decode_gigabytes_per_second", decode_gigabytes_per_second(engine, reply)},
          {"host_microseconds_per_token", rate(figures.host_us, double(figures.steps))},
          {"memory_planned_bytes", engine.plan().memory.total()},
          {"memory_device_bytes", engine.device().statistics().bytes_allocated},
          {"memory_host_peak_bytes", peak_resident_memory()},
          {"device", engine.device().capabilities().device_name},
          {"policy", describe(engine.plan().policy)},
          {"dispatches_per_token", engine.dispatches_per_step()},
          {"logits_hash", fmt::format("{:016x}", figures.logits_hash)},
          {"seed", seed}};
}

std::string configuration_text(Engine& engine, const SamplingOptions& sampling) {
  const RunOptions& run = engine.plan().options;
  return fmt::format(
      "config  context {} of {}, chunk {}, {}{}\n"
      "config  temperature {}, top-k {}, top-p {}, min-p {}, repeat penalty {} over {}, seed {}\n",
      run.context, engine.config().context_length, run.max_chunk, describe(engine.plan().policy),
      run.deterministic ? ", deterministic" : "", sampling.temperature, sampling.top_k,
      sampling.top_p, sampling.min_p, sampling.repeat_penalty, sampling.repeat_last, sampling.seed);
}

Result<void> check_validation(Engine& engine) {
  const std::vector<std::string>& log = engine.device().validation_log();
  if (log.empty()) return {};
  return fail(ErrorCode::Driver, "the validation layer has {} messages; the first: {}", log.size(),
              log.front());
}

}  // namespace pumice::command
