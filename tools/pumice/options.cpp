#include "options.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string_view>

#include "built_in_model.h"
#include "engine/base/log.h"
#include "engine/base/platform.h"
#include "engine/session/option_words.h"

namespace pumice::command {
namespace {

constexpr float kHuge = std::numeric_limits<float>::max();

constexpr std::array kCacheTypes = {CacheType::F32, CacheType::F16, CacheType::Q8_0,
                                    CacheType::Q4_0};

std::vector<std::string> cache_words() {
  std::vector<std::string> words;
  for (const CacheType type : kCacheTypes) words.emplace_back(cache_type_name(type));
  return words;
}

/// What is said of K or V alone goes before what is said of both.
CacheFormat cache_format(const ModelFlags& flags) {
  const auto type_of = [&](const std::string& own) {
    const std::string& word = own.empty() ? flags.kv : own;
    for (const CacheType type : kCacheTypes)
      if (word == cache_type_name(type)) return type;
    return CacheType::F16;
  };
  return {type_of(flags.kv_k), type_of(flags.kv_v), flags.kv_rotate};
}

}  // namespace

void add_precision_flags(CLI::App& app, ModelFlags& flags) {
  app.add_option("--act", flags.act, "Precision of activations (auto: what is fastest here)")
      ->check(CLI::IsMember({"auto", "f32", "q8"}));
  struct Row {
    const char* names;
    std::string& value;
    const char* what;
  };
  const Row rows[] = {
      {"--kv", flags.kv, "Type of the KV cache"},
      {"--kv-k,--cache-type-k", flags.kv_k, "Type of K in the cache, where it differs"},
      {"--kv-v,--cache-type-v", flags.kv_v, "Type of V in the cache, where it differs"},
  };
  for (const Row& row : rows)
    app.add_option(row.names, row.value, row.what)->check(CLI::IsMember(cache_words()));
  app.add_flag("--kv-rotate", flags.kv_rotate,
               "Pass heads through a Hadamard transform before they are cached (for q4_0)");
}

namespace {

bool show_progress(uint64_t done, uint64_t total) {
  if (is_terminal(Stream::Error) && total > 0) {
    std::fprintf(stderr, "\rloading %3u %%", unsigned(100.0 * double(done) / double(total)));
    if (done >= total) std::fprintf(stderr, "\r             \r");
  }
  return interrupts() == 0;
}

}  // namespace

Result<LoadOptions> load_options(const ModelFlags& flags) {
  LoadOptions options;
  options.model = flags.model;
  options.run.context = flags.context;
  if (flags.batch != 0) options.run.max_chunk = flags.batch;
  if (flags.act == "f32") options.run.activations = ActivationType::F32;
  if (flags.act == "q8") options.run.activations = ActivationType::Q8;
  options.run.cache = cache_format(flags);
  options.run.deterministic = flags.deterministic;
  options.device.select = flags.device;
  options.device.validation = flags.validate;
  PUMICE_TRY_ASSIGN(options.device.without, parse_mask(flags.without, "--without"));
  const std::filesystem::path cache = cache_folder();
  if (!flags.no_cache && !cache.empty()) {
    options.device.pipeline_cache = (cache / "pipelines.bin").string();
    options.profiles = cache.string();
  }
  options.progress = show_progress;
  if (flags.verbose) set_log_level(LogLevel::Debug);
  return options;
}

SamplingOptions sampling_options(const SamplingFlags& flags) {
  SamplingOptions options;
  options.temperature = flags.temperature;
  options.top_k = flags.top_k;
  options.top_p = flags.top_p;
  options.min_p = flags.min_p;
  options.repeat_penalty = flags.repeat_penalty;
  options.repeat_last = flags.repeat_last;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  options.seed = flags.seed >= 0 ? uint64_t(flags.seed) : uint64_t(now) & UINT32_MAX;
  return options;
}

CLI::Option* add_model_option(CLI::App& app, std::string& model, HubFlags& hub,
                              const CLI::Option* instead) {
  CLI::Option* file = app.add_option(
      "-m,--model", model, std::string(kModelFile) + " (default: the built-in pumice-mini)");
  const CLI::Option* repo = add_hub_options(app, file, hub);
  app.parse_complete_callback([&model, file, repo, instead] {
    if (file->count() + repo->count() > 0) return;
    if (instead != nullptr && instead->count() > 0) return;
    model = built_in_model();
    if (model.empty()) throw CLI::RequiredError(file->get_name());
  });
  return file;
}

void add_model_flags(CLI::App& app, ModelFlags& flags) {
  add_model_option(app, flags.model, flags.hub);
  add_engine_flags(app, flags);
}

void add_engine_flags(CLI::App& app, ModelFlags& flags) {
  app.add_option("-c,--ctx-size,--context", flags.context, "Context in tokens (0: the model's)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 24));
  app.add_option("-b,--batch-size", flags.batch, "Prompt tokens per chunk (0: chosen)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 16));
  app.add_option("--device", flags.device, "Index or part of the name (see pumice devices)");
  add_precision_flags(app, flags);
  app.add_option("--without", flags.without,
                 "Capabilities to leave unused: fp16,dot8,subgroup,coopmat,texel");
  app.add_flag("--deterministic", flags.deterministic,
               "The same bits however the prompt is cut and whatever runs beside it");
  app.add_flag("--validate", flags.validate, "Run under the Khronos validation layer");
  app.add_flag("--no-cache", flags.no_cache,
               "Neither compiled pipelines nor a device profile of earlier runs");
  app.add_flag("-v,--verbose", flags.verbose, "Print the configuration and decisions to stderr");
}

void add_sampling_flags(CLI::App& app, SamplingFlags& flags) {
  app.add_option("-n,--predict,--n-predict", flags.n_predict, "Tokens to write (-1: until the end)")
      ->check(CLI::Range(int64_t(-1), int64_t(1) << 31));
  app.add_option("-s,--seed", flags.seed, "Seed of the sampler (-1: from the clock)")
      ->check(CLI::Range(int64_t(-1), int64_t(UINT32_MAX)));
  struct Row {
    const char* names;
    float& value;
    float low, high;
    const char* what;
  };
  const Row rows[] = {
      {"--temp,--temperature", flags.temperature, 0.0f, 1000.0f, "Temperature (0: greedy)"},
      {"--top-p", flags.top_p, 0.0f, 1.0f, "Keep the likeliest tokens up to this mass (1: all)"},
      {"--min-p", flags.min_p, 0.0f, 1.0f, "Drop tokens below this share of the best (0: none)"},
      {"--repeat-penalty", flags.repeat_penalty, 0.01f, kHuge, "Divide logits of repeats (1: off)"},
  };
  for (const Row& row : rows)
    app.add_option(row.names, row.value, row.what)
        ->check(CLI::Range(row.low, row.high))
        ->capture_default_str();
  app.add_option("--top-k", flags.top_k, "Keep the k likeliest tokens (0: all)")
      ->capture_default_str();
  app.add_option("--repeat-last-n", flags.repeat_last, "Tokens that the penalty looks back on")
      ->capture_default_str();
}

}  // namespace pumice::command
