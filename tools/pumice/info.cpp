// `pumice info`: what a model file holds, read from its header alone; works for architectures that
// cannot be run too, and says so.
#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "command.h"
#include "engine/model/architectures.h"
#include "loader/gguf.h"
#include "options.h"
#include "output.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model;
  HubFlags hub;
  bool json = false, keys = false, tensors = false;
};

struct TypeCount {
  uint64_t tensors = 0, weights = 0, bytes = 0;
};

struct Summary {
  std::shared_ptr<const GgufFile> file;
  std::string architecture;
  std::string cannot_run;  ///< empty, or why
  std::map<QuantType, TypeCount> types;
  uint64_t weights = 0;

  [[nodiscard]] double bits_per_weight() const {
    return weights ? 8.0 * double(file->tensor_bytes()) / double(weights) : 0.0;
  }
};

/// Keys below the architecture's prefix, in the order of printing.
constexpr std::array kShapeKeys = {
    "context_length",       "embedding_length",         "block_count",
    "feed_forward_length",  "attention.head_count",     "attention.head_count_kv",
    "attention.key_length", "attention.sliding_window", "expert_count",
    "expert_used_count",    "rope.freq_base",           "vocab_size",
};

Json json_of(const MetadataEntry& entry) {
  switch (entry.type) {
    case MetadataType::Bool:
      return entry.bits != 0;
    case MetadataType::F32:
    case MetadataType::F64:
      return entry.number();
    case MetadataType::U8:
    case MetadataType::U16:
    case MetadataType::U32:
    case MetadataType::U64:
      return entry.bits;
    case MetadataType::I8:
    case MetadataType::I16:
    case MetadataType::I32:
    case MetadataType::I64:
      return int64_t(entry.bits);
    case MetadataType::String:
      return std::string(entry.text);
    case MetadataType::Array:
      return Json{{"element", metadata_type_name(entry.element)}, {"count", entry.count}};
  }
  return nullptr;
}

Json json_of_key(const Metadata& metadata, const std::string& key) {
  const MetadataEntry* entry = metadata.find(key);
  return entry ? json_of(*entry) : Json(nullptr);
}

std::string text_of_key(const Metadata& metadata, const std::string& key) {
  const MetadataEntry* entry = metadata.find(key);
  if (!entry) return {};
  return entry->type == MetadataType::String ? printable(entry->text) : value_text(*entry);
}

uint64_t vocabulary_size(const Metadata& metadata) {
  const MetadataEntry* tokens = metadata.find("tokenizer.ggml.tokens");
  return tokens ? tokens->count : 0;
}

Result<Summary> summarise(const std::string& path) {
  Summary summary;
  PUMICE_TRY_ASSIGN(summary.file, open_gguf(path));
  const auto architecture = summary.file->metadata().get_string("general.architecture");
  if (architecture) summary.architecture = *architecture;
  for (const TensorInfo& tensor : summary.file->tensors()) {
    TypeCount& count = summary.types[tensor.type];
    ++count.tensors;
    count.weights += tensor.n_weights;
    count.bytes += tensor.n_bytes;
    summary.weights += tensor.n_weights;
  }
  if (const auto config = model::read_config(*summary.file); !config)
    summary.cannot_run = config.error().text;
  return summary;
}

Json types_json(const Summary& summary) {
  Json types = Json::array();
  for (const auto& [type, count] : summary.types)
    types.push_back({{"type", info(type).name},
                     {"tensors", count.tensors},
                     {"weights", count.weights},
                     {"bytes", count.bytes}});
  return types;
}

Json to_json(const Summary& summary, const Options& options) {
  const GgufFile& file = *summary.file;
  const Metadata& metadata = file.metadata();
  Json json = {{"file", file.name()},
               {"gguf_version", file.version()},
               {"parts", file.n_parts()},
               {"file_bytes", file.file_bytes()},
               {"architecture", summary.architecture},
               {"name", json_of_key(metadata, "general.name")},
               {"supported", summary.cannot_run.empty()},
               {"unsupported_because", summary.cannot_run},
               {"weights", summary.weights},
               {"tensor_count", file.tensors().size()},
               {"tensor_bytes", file.tensor_bytes()},
               {"bits_per_weight", summary.bits_per_weight()},
               {"types", types_json(summary)}};
  for (const char* key : kShapeKeys)
    json[key] = json_of_key(metadata, summary.architecture + "." + key);
  json["vocabulary"] = {{"size", vocabulary_size(metadata)},
                        {"model", json_of_key(metadata, "tokenizer.ggml.model")},
                        {"pre", json_of_key(metadata, "tokenizer.ggml.pre")},
                        {"bos_token_id", json_of_key(metadata, "tokenizer.ggml.bos_token_id")},
                        {"eos_token_id", json_of_key(metadata, "tokenizer.ggml.eos_token_id")}};
  json["chat_template"] = json_of_key(metadata, "tokenizer.chat_template");
  if (options.keys) {
    Json& keys = json["keys"] = Json::object();
    for (const MetadataEntry& entry : metadata.entries())
      keys[std::string(entry.key)] = json_of(entry);
  }
  if (options.tensors) {
    Json& tensors = json["tensors"] = Json::array();
    for (const TensorInfo& tensor : file.tensors())
      tensors.push_back({{"name", tensor.name},
                         {"type", info(tensor.type).name},
                         {"shape", std::vector<uint64_t>(tensor.shape.begin(),
                                                         tensor.shape.begin() + tensor.n_dims)},
                         {"bytes", tensor.n_bytes}});
  }
  return json;
}

std::string row(std::string_view name, std::string_view value) {
  return value.empty() ? std::string() : fmt::format("{:<26}{}\n", name, value);
}

std::string types_text(const Summary& summary) {
  std::string text;
  for (const auto& [type, count] : summary.types)
    text += fmt::format("  {:<8}{:>6} tensors {:>16} weights {:>12}\n", info(type).name,
                        count.tensors, count.weights, bytes_text(count.bytes));
  return text;
}

std::string to_text(const Summary& summary, const Options& options) {
  const GgufFile& file = *summary.file;
  const Metadata& metadata = file.metadata();
  std::string text = row("file", printable(file.name(), 1000));
  text += row("container",
              fmt::format("GGUF {}, {} in {} part{}", file.version(), bytes_text(file.file_bytes()),
                          file.n_parts(), file.n_parts() == 1 ? "" : "s"));
  text += row("architecture", printable(summary.architecture));
  text += row("runs here",
              summary.cannot_run.empty() ? "yes" : "no: " + printable(summary.cannot_run, 1000));
  text += row("name", text_of_key(metadata, "general.name"));
  for (const char* key : kShapeKeys)
    text += row(key, text_of_key(metadata, summary.architecture + "." + key));
  text += row("vocabulary", fmt::format("{} {} {}", vocabulary_size(metadata),
                                        text_of_key(metadata, "tokenizer.ggml.model"),
                                        text_of_key(metadata, "tokenizer.ggml.pre")));
  text += row("chat template", text_of_key(metadata, "tokenizer.chat_template"));
  text += row("weights", fmt::format("{} in {} tensors, {}, {:.3f} bits each", summary.weights,
                                     file.tensors().size(), bytes_text(file.tensor_bytes()),
                                     summary.bits_per_weight()));
  text += types_text(summary);
  if (options.keys)
    for (const MetadataEntry& entry : metadata.entries())
      text += fmt::format("{} = {}\n", printable(entry.key), value_text(entry));
  if (options.tensors)
    for (const TensorInfo& tensor : file.tensors())
      text += fmt::format("{:<40} {:<8} {}\n", printable(tensor.name), info(tensor.type).name,
                          shape_text(std::span(tensor.shape).first(tensor.n_dims)));
  return text;
}

Outcome show(Options options) {
  if (Outcome found = find_model(options.hub, options.model); !found) return found;
  PUMICE_TRY_ASSIGN(const Summary summary, summarise(options.model));
  if (options.json) return write_json(to_json(summary, options));
  return write_text(to_text(summary, options));
}

}  // namespace

Action add_info(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_option(app, options->model, options->hub);
  app.add_flag("--json", options->json, "One JSON document on stdout");
  app.add_flag("--keys", options->keys, "Also every key of the file");
  app.add_flag("--tensors", options->tensors, "Also every tensor");
  return [options] { return show(*options); };
}

}  // namespace pumice::command
