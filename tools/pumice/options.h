// The flags that run, chat and logits share, as one plain struct filled from a table of flags.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/session/engine.h"
#include "model_source.h"

namespace pumice::command {

struct ModelFlags {
  std::string model;  ///< path; of a hub's model once find_model() has it
  HubFlags hub;
  std::string device;          ///< index or part of a name; empty = the best
  std::string act;             ///< "auto", "f32", "q8"; empty = auto
  std::string kv, kv_k, kv_v;  ///< cache_type_name of both, of K, of V; empty = f16
  bool kv_rotate = false;
  std::string without;   ///< "fp16,dot8"
  uint32_t context = 0;  ///< tokens; 0 = the session's choice
  uint32_t batch = 0;    ///< prompt tokens per chunk; 0 = the session's choice
  bool deterministic = false, validate = false, verbose = false, no_cache = false;
};

struct SamplingFlags {
  float temperature = 0.8f;
  float top_p = 0.95f, min_p = 0.05f, repeat_penalty = 1.0f;
  uint32_t top_k = 40, repeat_last = 64;
  int64_t seed = -1;       ///< negative = from the clock
  int64_t n_predict = -1;  ///< negative = until the model ends or the context is full
};

/// -m, and -hf in its place. Without both, and without `instead` (another way to name a model),
/// `model` becomes the built-in one; where that is absent, -m is required. After parsing,
/// find_model() turns what -hf names into a path.
CLI::Option* add_model_option(CLI::App& app, std::string& model, HubFlags& hub,
                              const CLI::Option* instead = nullptr);
/// How a model is run: context, device, precisions, and what to print of it.
void add_engine_flags(CLI::App& app, ModelFlags& flags);
/// Both.
void add_model_flags(CLI::App& app, ModelFlags& flags);
/// The part of it that says how activations and the cache are kept.
void add_precision_flags(CLI::App& app, ModelFlags& flags);
void add_sampling_flags(CLI::App& app, SamplingFlags& flags);

/// What the engine is loaded with. Progress goes to stderr where that is a terminal, and Ctrl-C
/// stops the load.
[[nodiscard]] Result<LoadOptions> load_options(const ModelFlags& flags);

/// A negative seed becomes one from the clock.
[[nodiscard]] SamplingOptions sampling_options(const SamplingFlags& flags);

}  // namespace pumice::command
