#include "generate.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "engine/base/platform.h"
#include "engine/text/stop_matcher.h"
#include "engine/text/stream_decoder.h"
#include "output.h"

namespace pumice::command {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Feeds all but the last chunk, so that Ctrl-C is seen between chunks.
Result<Sampled> read_prompt(Engine& engine, uint32_t sequence, std::span<const int32_t> prompt) {
  const size_t chunk = std::max(engine.plan().options.max_chunk, 1u);
  while (prompt.size() > chunk && interrupts() == 0) {
    PUMICE_TRY(engine.append(sequence, prompt.first(chunk)));
    prompt = prompt.subspan(chunk);
  }
  if (interrupts() > 0) return fail(ErrorCode::Cancelled, "interrupted while reading the prompt");
  return engine.append_and_sample(sequence, prompt);
}

/// Ids to visible text: characters made whole, stop texts held back.
class Writer {
 public:
  Writer(const Engine& engine, const Limits& limits, const TextSink& sink, Reply& reply)
      : decoder_(engine.tokenizer()), matcher_(limits.stops), sink_(sink), reply_(reply) {}

  Outcome push(int32_t token) { return show(matcher_.push(decoder_.push(token))); }
  Outcome flush() {
    std::string rest = matcher_.push(decoder_.flush());
    return show(rest + matcher_.flush());
  }
  [[nodiscard]] bool stopped() const { return matcher_.stopped(); }

 private:
  Outcome show(const std::string& text) {
    if (text.empty()) return {};
    reply_.text += text;
    return sink_(text);
  }

  StreamDecoder decoder_;
  StopMatcher matcher_;
  const TextSink& sink_;
  Reply& reply_;
};

bool ends(const Engine& engine, const Limits& limits, int32_t token) {
  return engine.tokenizer().is_end_of_generation(token) ||
         std::find(limits.stop_tokens.begin(), limits.stop_tokens.end(), token) !=
             limits.stop_tokens.end();
}

void count_hash(Reply& reply, uint32_t row_hash) {
  reply.logits_hash = (reply.logits_hash ^ row_hash) * 0x100000001B3u;  // FNV-1a, a word at a time
}

/// Writes from the first sampled token on; the reply holds the reason when it returns.
Outcome decode(Engine& engine, uint32_t sequence, Sampled sampled, const Limits& limits,
               Writer& writer, Reply& reply) {
  for (;;) {
    count_hash(reply, sampled.logits_hash);
    if (ends(engine, limits, sampled.token)) {
      reply.stop = StopReason::ModelEnded;
      return {};
    }
    ++reply.tokens;
    reply.not_yet_cached.assign(1, sampled.token);
    if (Outcome written = writer.push(sampled.token); !written) return written;
    if (writer.stopped())
      reply.stop = StopReason::StopText;
    else if (limits.n_predict >= 0 && reply.tokens >= uint64_t(limits.n_predict))
      reply.stop = StopReason::Limit;
    else if (interrupts() > 0)
      reply.stop = StopReason::Interrupted;
    else if (engine.length(sequence) >= engine.plan().options.context)
      reply.stop = StopReason::ContextFull;
    else {
      PUMICE_TRY_ASSIGN(sampled, engine.append_and_sample(sequence, reply.not_yet_cached));
      reply.not_yet_cached.clear();
      reply.host_us += engine.last_host_us();
      continue;
    }
    return {};
  }
}

uint64_t decode_steps(const Reply& reply) {
  const uint64_t sampled = reply.tokens + (reply.stop == StopReason::ModelEnded ? 1 : 0);
  return sampled > 0 ? sampled - 1 : 0;  // the first came with the prompt
}

double rate(double amount, double seconds) {
  return seconds > 0.0 ? amount / seconds : 0.0;
}

double decode_gigabytes_per_second(const Engine& engine, const Reply& reply) {
  return rate(double(engine.weight_bytes_per_step()) * double(decode_steps(reply)) * 1e-9,
              reply.decode_seconds);
}

}  // namespace

Result<void> check_fits(const Engine& engine, uint32_t sequence, size_t tokens) {
  const uint64_t length = uint64_t(engine.length(sequence)) + tokens;
  const uint32_t context = engine.plan().options.context;
  if (length <= context) return {};
  return fail(
      ErrorCode::ContextFull,
      "the text of {} tokens does not fit the context of {}; give a larger one with -c (the "
      "model was made for {})",
      length, context, engine.config().context_length);
}

tl::expected<Reply, Failure> generate(Engine& engine, uint32_t sequence,
                                      std::span<const int32_t> prompt, const Limits& limits,
                                      const TextSink& sink) {
  Reply reply;
  reply.prompt_tokens = prompt.size();
  if (limits.n_predict == 0) {
    reply.stop = StopReason::Limit;
    reply.not_yet_cached.assign(prompt.begin(), prompt.end());
    return reply;
  }
  PUMICE_TRY(check_fits(engine, sequence, prompt.size()));
  Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const Sampled first, read_prompt(engine, sequence, prompt));
  reply.prompt_seconds = seconds_since(start);

  start = Clock::now();
  Writer writer(engine, limits, sink, reply);
  Outcome outcome = decode(engine, sequence, first, limits, writer, reply);
  reply.decode_seconds = seconds_since(start);
  if (outcome) outcome = writer.flush();
  if (!outcome) return tl::unexpected<Failure>(std::move(outcome.error()));
  return reply;
}

Result<ChatTemplate> chat_template_for(const Tokenizer& tokenizer, const std::string& name) {
  if (name.empty()) return ChatTemplate::recognise(tokenizer);
  const auto text_of = [&](int32_t id) {
    return id >= 0 ? tokenizer.piece(id) : std::string_view();
  };
  return ChatTemplate::named(name, text_of(tokenizer.bos()), text_of(tokenizer.eos()));
}

std::vector<int32_t> reply_end_tokens(const Tokenizer& tokenizer, const ChatTemplate& chat) {
  const int32_t token = tokenizer.find_control(chat.style().reply_end);
  return token >= 0 ? std::vector<int32_t>{token} : std::vector<int32_t>{};
}

std::string statistics_text(Engine& engine, const Reply& reply, uint64_t seed) {
  const LoadTimes& load = engine.load_times();
  const MemoryPlan& memory = engine.plan().memory;
  const uint64_t steps = decode_steps(reply);
  std::string text = fmt::format(
      "load    {:.3f} s (file {:.0f} ms, device {:.0f} ms, weights {:.0f} ms, pipelines {:.0f} "
      "ms)\n",
      load.total_ms / 1000.0, load.open_ms, load.device_ms, load.upload_ms, load.pipelines_ms);
  text +=
      fmt::format("prompt  {} tokens in {:.3f} s, {:.1f} tokens/s\n", reply.prompt_tokens,
                  reply.prompt_seconds, rate(double(reply.prompt_tokens), reply.prompt_seconds));
  text += fmt::format(
      "decode  {} tokens in {:.3f} s, {:.1f} tokens/s, {:.2f} GB/s, host {:.0f} us "
      "per token beyond the wait\n",
      reply.tokens, reply.decode_seconds, rate(double(steps), reply.decode_seconds),
      decode_gigabytes_per_second(engine, reply), rate(reply.host_us, double(steps)));
  text += fmt::format(
      "memory  planned {} (weights {}, cache {}, scratch {}), device {}, host peak {}\n",
      bytes_text(memory.total()), bytes_text(memory.weights), bytes_text(memory.cache),
      bytes_text(memory.scratch), bytes_text(engine.device().statistics().bytes_allocated),
      bytes_text(peak_resident_memory()));
  text += fmt::format("device  {}; {}; {} dispatches a token\n",
                      printable(engine.device().capabilities().device_name),
                      describe(engine.plan().policy), engine.dispatches_per_step());
  text += fmt::format("logits  hash {:016x}, seed {}\n", reply.logits_hash, seed);
  return text;
}

nlohmann::ordered_json statistics_json(Engine& engine, const Reply& reply, uint64_t seed) {
  const LoadTimes& load = engine.load_times();
  const uint64_t steps = decode_steps(reply);
  return {{"load_seconds", load.total_ms / 1000.0},
          {"prompt_tokens", reply.prompt_tokens},
          {"prompt_tokens_per_second", rate(double(reply.prompt_tokens), reply.prompt_seconds)},
          {"tokens", reply.tokens},
          {"decode_tokens_per_second", rate(double(steps), reply.decode_seconds)},
          {"decode_gigabytes_per_second", decode_gigabytes_per_second(engine, reply)},
          {"host_microseconds_per_token", rate(reply.host_us, double(steps))},
          {"memory_planned_bytes", engine.plan().memory.total()},
          {"memory_device_bytes", engine.device().statistics().bytes_allocated},
          {"memory_host_peak_bytes", peak_resident_memory()},
          {"device", engine.device().capabilities().device_name},
          {"policy", describe(engine.plan().policy)},
          {"dispatches_per_token", engine.dispatches_per_step()},
          {"logits_hash", fmt::format("{:016x}", reply.logits_hash)},
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
