// The table, and the steps from file to graph that every architecture shares.
#include "engine/model/architectures.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/model/decoder.h"
#include "engine/model/models.h"

namespace pumice::model {
namespace {

Result<const Architecture*> architecture_of(const GgufFile& file) {
  PUMICE_TRY_ASSIGN(const std::string_view name,
                    file.metadata().get_string("general.architecture"));
  if (const Architecture* found = find_architecture(name)) return found;
  std::string supported;
  for (const Architecture& row : architectures())
    supported += (supported.empty() ? "" : ", ") + std::string(row.name);
  return fail(ErrorCode::Unsupported, "{}: architecture \"{}\" is not supported; supported: {}",
              file.name(), name.substr(0, 80), supported);
}

Result<Config> config_of(const GgufFile& file, const Architecture& architecture) {
  Config config;
  config.architecture = std::string(architecture.name);
  if (architecture.defaults) architecture.defaults(config);
  PUMICE_TRY(read_keys(file.metadata(), common_keys(), config));
  PUMICE_TRY(read_keys(file.metadata(), architecture.keys, config));
  PUMICE_TRY(cross_check(file.metadata(), config));
  if (architecture.finish) PUMICE_TRY(architecture.finish(config, file.metadata()));
  return config;
}

}  // namespace

std::span<const Architecture> architectures() {
  static const std::array rows{kGemma2, kGemma3, kLlama, kPhi3, kQwen2, kQwen3};
  return rows;
}

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& row : architectures())
    if (row.name == name) return &row;
  return nullptr;
}

Result<Config> read_config(const GgufFile& file) {
  PUMICE_TRY_ASSIGN(const Architecture* architecture, architecture_of(file));
  return config_of(file, *architecture);
}

Result<graph::Graph> build_graph(const GgufFile& file, const BuildOptions& options) {
  PUMICE_TRY_ASSIGN(const Architecture* architecture, architecture_of(file));
  PUMICE_TRY_ASSIGN(const Config config, config_of(file, *architecture));
  if (options.context > kMaxContext)
    return fail(ErrorCode::BadArgument, "a context of {} positions was asked for; at most {} fit",
                options.context, kMaxContext);

  std::vector<TensorRow> rows(common_tensors().begin(), common_tensors().end());
  rows.insert(rows.end(), architecture->tensors.begin(), architecture->tensors.end());
  PUMICE_TRY_ASSIGN(const TensorMap tensors, map_tensors(file, config, rows));
  if (!tensors.find(Role::RopeLong) != !tensors.find(Role::RopeShort))
    return fail(ErrorCode::BadFile,
                "{}: only one of rope_factors_long.weight and rope_factors_short.weight is there; "
                "expected both or neither",
                file.name());

  Decoder decoder(config, tensors, options.context ? options.context : config.context_length);
  architecture->build(decoder);
  auto built = decoder.take();
  if (!built) return fail_in(file.name(), std::move(built.error()));
  return built;
}

}  // namespace pumice::model
