// Prints what README.md claims: the error of every reference file on the current driver, the speed
// of one model, the speed of the quantiser.
//   pumice-numbers oracle [f32|q8]          NMSE against the reference logits
//   pumice-numbers speed MODEL [P] [N] [R]  prompt and decode tokens/s: median and spread of R runs
//   pumice-numbers encode [TYPE] [THREADS]  million weights/s of one core, and error, of each type
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "engine/quant/encode.h"
#include "engine/quant/ordered_work.h"
#include "engine/quant/recipe.h"
#include "engine/session/engine.h"
#include "tests/unit/quant/samples.h"

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A .logits or .long file: tokens, and the logits after the last `rows` of them.
struct ReferenceRows {
  std::vector<int32_t> tokens;
  std::vector<float> logits;
  int32_t n_vocab = 0, rows = 0;
};

Result<ReferenceRows> read_reference(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const auto word = [&in] {
    int32_t value = 0;
    in.read(reinterpret_cast<char*>(&value), sizeof(value));
    return value;
  };
  ReferenceRows reference;
  const int32_t n_tokens = word();
  reference.n_vocab = word();
  reference.rows = path.extension() == ".long" ? word() : n_tokens;
  if (!in || n_tokens <= 0 || n_tokens > 100'000 || reference.n_vocab <= 0 ||
      reference.n_vocab > 1'000'000 || reference.rows <= 0 || reference.rows > n_tokens)
    return fail(ErrorCode::BadFile, "{} is not a logits file", path.string());
  reference.tokens.resize(size_t(n_tokens));
  reference.logits.resize(size_t(reference.rows) * size_t(reference.n_vocab));
  in.read(reinterpret_cast<char*>(reference.tokens.data()), n_tokens * 4);
  in.read(reinterpret_cast<char*>(reference.logits.data()),
          std::streamsize(reference.logits.size() * 4));
  if (!in) return fail(ErrorCode::BadFile, "{} is cut short", path.string());
  return reference;
}

Result<double> error_of(const std::filesystem::path& model, const std::filesystem::path& logits,
                        bool q8) {
  PUMICE_TRY_ASSIGN(const ReferenceRows reference, read_reference(logits));
  LoadOptions options;
  options.model = model.string();
  options.run.context = uint32_t(std::max<size_t>(reference.tokens.size(), 256));
  options.run.max_chunk = options.run.max_outputs = 8;
  options.run.activations = q8 ? ActivationType::Q8 : ActivationType::F32;
  options.run.cache = q8 ? CacheType::F16 : CacheType::F32;
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(options));
  PUMICE_TRY_ASSIGN(const std::vector<float> rows, engine->logits(0, reference.tokens));
  const float* got = rows.data() + rows.size() - reference.logits.size();
  double error = 0, power = 0;
  for (size_t i = 0; i < reference.logits.size(); ++i) {
    const double expected = reference.logits[i];
    error += (got[i] - expected) * (got[i] - expected);
    power += expected * expected;
  }
  return error / power;
}

int oracle(bool q8) {
  std::vector<std::filesystem::path> files;
  for (const char* folder : {"archs", "types", "real"}) {
    const std::filesystem::path path = std::filesystem::path(PUMICE_ORACLE_DIR) / folder;
    if (!std::filesystem::exists(path)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      if (entry.path().extension() == ".logits" || entry.path().extension() == ".long")
        files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) fmt::print("no reference files at {}\n", PUMICE_ORACLE_DIR);
  for (const std::filesystem::path& file : files) {
    std::filesystem::path model = file;
    model.replace_extension(".gguf");
    const Result<double> error = error_of(model, file, q8);
    fmt::print("{:<32} {}\n",
               file.parent_path().filename().string() + "/" + file.filename().string(),
               error ? fmt::format("NMSE {:.2e}", *error) : error.error().text.substr(0, 110));
    std::fflush(stdout);
  }
  return 0;
}

std::string spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return fmt::format("median {:.1f} (min {:.1f}, max {:.1f})", values[values.size() / 2],
                     values.front(), values.back());
}

Result<void> speed(const std::string& model, uint32_t prompt, uint32_t decode, uint32_t runs) {
  LoadOptions options;
  options.model = model;
  options.run.context = prompt + decode + 8;
  const Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(options));
  std::vector<int32_t> tokens(prompt);
  for (uint32_t i = 0; i < prompt; ++i)
    tokens[i] = int32_t(1 + (i * 7919u) % (engine->plan().graph.n_vocab - 1));
  const int32_t three[] = {1, 2, 3};
  PUMICE_TRY(engine->append_and_sample(0, three));
  fmt::print(
      "start to first token {:.0f} ms (load {:.0f}: device {:.0f}, weights {:.0f}, pipelines "
      "{:.0f})\n",
      ms_since(start), engine->load_times().total_ms, engine->load_times().device_ms,
      engine->load_times().upload_ms, engine->load_times().pipelines_ms);
  std::vector<double> prompt_rate, decode_rate, host_us;
  for (uint32_t run = 0; run <= runs; ++run) {  // the first one warms up
    engine->rewind(0, 0);
    Clock::time_point lap = Clock::now();
    PUMICE_TRY_ASSIGN(Sampled sampled, engine->append_and_sample(0, tokens));
    if (run > 0) prompt_rate.push_back(prompt / ms_since(lap) * 1e3);
    lap = Clock::now();
    for (uint32_t i = 0; i < decode; ++i) {
      PUMICE_TRY_ASSIGN(sampled, engine->append_and_sample(0, {&sampled.token, 1}));
      if (run > 0) host_us.push_back(engine->last_host_us());
    }
    if (run > 0) decode_rate.push_back(decode / ms_since(lap) * 1e3);
  }
  std::sort(host_us.begin(), host_us.end());
  fmt::print(
      "{}\nprompt {} tokens/s {}\ndecode {} tokens/s {}\nhost time per token median {:.1f} us\n",
      engine->device().capabilities().device_name, prompt, spread(prompt_rate), decode,
      spread(decode_rate), host_us[host_us.size() / 2]);
  fmt::print("{}, {} dispatches and {:.1f} MB of weights per token\n",
             describe(engine->plan().policy), engine->dispatches_per_step(),
             double(engine->weight_bytes_per_step()) / 1e6);
  return {};
}

constexpr size_t kWidth = 4096, kSliceRows = 64;  // of a matrix as models have them

struct EncodeSample {
  std::vector<float> weights, importance;  ///< rows of kWidth; one number per column
};

/// All weights on `threads` threads; returns million weights per second and thread.
Result<double> encode_rate(const EncodeSample& sample, QuantType type, bool weighed,
                           uint32_t threads, std::vector<std::byte>& out) {
  const size_t slice = kWidth * kSliceRows, slice_bytes = test::encoded_bytes(type, slice);
  quant::OrderedWork job;
  job.items = job.slots = sample.weights.size() / slice;
  job.threads = threads;
  job.work = [&](uint32_t, size_t item, size_t) -> Result<void> {
    quant::encode_rows(type, std::span(sample.weights).subspan(item * slice, slice), kWidth,
                       weighed ? std::span(sample.importance) : std::span<const float>(),
                       std::span(out).subspan(item * slice_bytes, slice_bytes));
    return {};
  };
  const Clock::time_point start = Clock::now();
  PUMICE_TRY(quant::run_in_order(job));
  return double(sample.weights.size()) / ms_since(start) * 1e-3 / threads;
}

Result<void> encode(const std::string& only, uint32_t threads) {
  std::optional<QuantType> wanted;
  if (!only.empty()) {
    PUMICE_TRY_ASSIGN(wanted, quant::parse_type(only));
    if (!quant::can_encode(*wanted))
      return fail(ErrorCode::BadArgument, "there is no encoder for {}", only);
  }
  const size_t slices = 4 * size_t(threads);  // a million weights for each thread
  const EncodeSample sample = {test::heavy_tailed(kWidth * kSliceRows * slices, 0.02f, 1),
                               test::log_normal(kWidth, 2)};
  fmt::print("{:<8} {:>10} {:>8} {:>21} {:>8}\n", "type", "Mweights/s", "NMSE",
             "weighed by importance", "NMSE");
  for (const QuantTypeInfo& type : quant_types()) {
    if (!quant::can_encode(type.type) || (wanted && *wanted != type.type)) continue;
    std::vector<std::byte> out(test::encoded_bytes(type.type, sample.weights.size()));
    std::string cells[2];
    for (const bool weighed : {false, true}) {
      PUMICE_TRY_ASSIGN(const double rate, encode_rate(sample, type.type, weighed, threads, out));
      const double error =
          test::nmse(test::decoded(type.type, out, sample.weights.size()), sample.weights,
                     weighed ? sample.importance : std::vector<float>());
      cells[weighed] = fmt::format("{:>{}.1f} {:8.2e}", rate, weighed ? 21 : 10, error);
    }
    fmt::print("{:<8} {} {}\n", type.name, cells[0], cells[1]);
    std::fflush(stdout);
  }
  return {};
}

}  // namespace
}  // namespace pumice

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i, uint32_t fallback) {
    return argc > i ? uint32_t(std::max(std::atoi(argv[i]), 1)) : fallback;
  };
  if (what == "oracle") return pumice::oracle(argc > 2 && std::string(argv[2]) == "q8");
  const auto ended = [](const pumice::Result<void>& done) {
    if (!done) fmt::print(stderr, "pumice-numbers: {}\n", done.error().text);
    return done ? 0 : 1;
  };
  if (what == "speed" && argc > 2)
    return ended(pumice::speed(argv[2], number(3, 512), number(4, 64), number(5, 5)));
  if (what == "encode") {  // the type may be left out: "encode 2"
    const int at = argc > 2 && std::isdigit(static_cast<unsigned char>(*argv[2])) ? 2 : 3;
    return ended(pumice::encode(at == 3 && argc > 2 ? argv[2] : "", std::min(number(at, 1), 64u)));
  }
  fmt::print(stderr,
             "usage: pumice-numbers oracle [f32|q8] | speed MODEL [P] [N] [R] | encode [TYPE] "
             "[THREADS]\n");
  return 2;
}
