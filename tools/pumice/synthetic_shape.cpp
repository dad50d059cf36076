// What a user writes after --synthetic.
#include <algorithm>
#include <array>
#include <charconv>

#include "engine/model/config.h"
#include "output.h"
#include "synthetic.h"

namespace pumice::command {
namespace {

struct Preset {
  const char* name;
  SyntheticShape shape;
};

// Shapes of public models: SmolLM2 (135M, 360M), Llama 3 (1B, 3B, 8B, 70B), Mistral Large's kin.
// layers, width, heads, kv_heads, head, ff, vocab, context, tied
constexpr std::array kPresets = {
    Preset{"135M", {30, 576, 9, 3, 64, 1536, 49'152, 8192, true}},
    Preset{"360M", {32, 960, 15, 5, 64, 2560, 49'152, 8192, true}},
    Preset{"1B", {16, 2048, 32, 8, 64, 8192, 128'256, 131'072, true}},
    Preset{"3B", {28, 3072, 24, 8, 128, 8192, 128'256, 131'072, true}},
    Preset{"8B", {32, 4096, 32, 8, 128, 14'336, 128'256, 131'072, false}},
    Preset{"14B", {40, 5120, 40, 8, 128, 17'408, 151'936, 40'960, false}},
    Preset{"32B", {64, 5120, 40, 8, 128, 27'648, 152'064, 32'768, false}},
    Preset{"70B", {80, 8192, 64, 8, 128, 28'672, 128'256, 131'072, false}},
};

struct ShapeKey {
  std::string_view name;
  uint32_t SyntheticShape::*field;
  uint32_t least, most;
  uint32_t multiple;  ///< of which the value must be
};

constexpr std::array kKeys = {
    ShapeKey{"layers", &SyntheticShape::layers, 1, model::kMaxLayers, 1},
    ShapeKey{"width", &SyntheticShape::width, 32, model::kMaxEmbd, 32},
    ShapeKey{"heads", &SyntheticShape::heads, 1, model::kMaxHeads, 1},
    ShapeKey{"kv", &SyntheticShape::kv_heads, 1, model::kMaxHeads, 1},
    ShapeKey{"head", &SyntheticShape::head, 8, model::kMaxHeadSize, 8},
    ShapeKey{"ff", &SyntheticShape::ff, 32, model::kMaxFf, 32},
    ShapeKey{"vocab", &SyntheticShape::vocab, 32, model::kMaxVocab, 1},
    ShapeKey{"context", &SyntheticShape::context, 1, model::kMaxContext, 1},
};

Result<void> set_key(SyntheticShape& shape, std::string_view word) {
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const std::string_view text =
      equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return fail(ErrorCode::BadArgument, "\"{}\" is no key=number", printable(word, 40));
  if (name == "tied") {
    shape.tied = value != 0;
    return {};
  }
  for (const ShapeKey& key : kKeys) {
    if (key.name != name) continue;
    if (value < key.least || value > key.most || value % key.multiple != 0)
      return fail(ErrorCode::BadArgument, "{}={}: it must be {} to {}, in steps of {}", name, value,
                  key.least, key.most, key.multiple);
    shape.*key.field = value;
    return {};
  }
  std::string known;
  for (const ShapeKey& key : kKeys) known += fmt::format("{}, ", key.name);
  return fail(ErrorCode::BadArgument, "\"{}\" is none of {}tied", printable(name, 40), known);
}

/// Fills in what was left out and checks what belongs together.
Result<void> complete(SyntheticShape& shape) {
  if (shape.layers == 0 || shape.width == 0 || shape.heads == 0)
    return fail(ErrorCode::BadArgument, "a shape needs layers, width and heads");
  if (shape.kv_heads == 0) shape.kv_heads = shape.heads;
  if (shape.head == 0) shape.head = shape.width / shape.heads / 8 * 8;
  if (shape.ff == 0) shape.ff = shape.width * 4;
  if (shape.heads % shape.kv_heads != 0)
    return fail(ErrorCode::BadArgument, "{} heads cannot share {} of keys and values", shape.heads,
                shape.kv_heads);
  if (shape.head == 0 || shape.head * uint64_t{shape.heads} % 32 != 0)
    return fail(ErrorCode::BadArgument, "{} heads of {} elements are no multiple of 32",
                shape.heads, shape.head);
  return {};
}

Result<SyntheticShape> parse_shape(std::string_view text) {
  for (const Preset& preset : kPresets)
    if (std::ranges::equal(text, std::string_view(preset.name),
                           [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; }))
      return preset.shape;
  if (text.find('=') == std::string_view::npos)
    return fail(ErrorCode::BadArgument,
                "\"{}\" is no shape; there are {}, and layers=16,width=2048,heads=32,...",
                printable(text, 40), synthetic_names());
  SyntheticShape shape;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    PUMICE_TRY(set_key(shape, text.substr(0, comma)));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  PUMICE_TRY(complete(shape));
  return shape;
}

Result<void> parse_type(std::string_view text, SyntheticSpec& spec) {
  constexpr std::string_view kPure = "pure:";
  spec.types.pure = text.starts_with(kPure);
  if (spec.types.pure) text.remove_prefix(kPure.size());
  spec.types.mix = quant::find_mix(text);
  if (spec.types.mix == nullptr)
    return fail(ErrorCode::BadArgument, "\"{}\" is no type; there are {}, pure:TYPE without rules",
                printable(text, 40), quant::mix_names());
  spec.file_type = spec.types.mix->file_type;
  return {};
}

}  // namespace

std::string synthetic_names() {
  std::string names;
  for (const Preset& preset : kPresets)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", preset.name);
  return names;
}

Result<SyntheticSpec> parse_synthetic(const std::string& text) {
  SyntheticSpec spec;
  spec.name = text;
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    return fail(ErrorCode::BadArgument, "--synthetic: \"{}\" is no SHAPE:TYPE like 1B:q4_k_m",
                printable(text, 60));
  auto shape = parse_shape(std::string_view(text).substr(0, colon));
  if (!shape) return fail_in("--synthetic", std::move(shape.error()));
  spec.shape = *shape;
  if (auto type = parse_type(std::string_view(text).substr(colon + 1), spec); !type)
    return fail_in("--synthetic", std::move(type.error()));
  return spec;
}

}  // namespace pumice::command
