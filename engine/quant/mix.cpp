// Owns the walk over a model's tensors: which rule, wish or fallback gives each its type.
#include "engine/quant/mix.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "engine/quant/mix_rules.h"
#include "engine/quant/tensor_weights.h"
#include "loader/printable.h"

namespace pumice::quant {
namespace {

/// N of "blk.N.…", or -1.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return -1;
  uint32_t layer = 0;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(begin, end, layer);
  return error == std::errc() && rest != end && *rest == '.' ? int64_t(layer) : -1;
}

/// A number, or the first of an array with one per layer.
Result<uint32_t> first_u32(const Metadata& metadata, const std::string& key, uint32_t fallback) {
  const MetadataEntry* entry = metadata.find(key);
  if (!entry || (entry->type == MetadataType::Array && entry->count == 0)) return fallback;
  const uint32_t count = entry->type == MetadataType::Array ? uint32_t(entry->count) : 1;
  PUMICE_TRY_ASSIGN(const std::vector<uint32_t> values, metadata.get_u32_per_layer(key, count));
  return values.front();
}

/// Positions in the order in which running counts go: layer by layer, by name within one.
std::vector<size_t> counting_order(std::span<const TensorInfo> tensors) {
  std::vector<int64_t> layers;
  for (const TensorInfo& tensor : tensors) layers.push_back(layer_of(tensor.name));
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return layers[a] != layers[b] ? layers[a] < layers[b] : tensors[a].name < tensors[b].name;
  });
  return order;
}

uint32_t when(bool holds, uint32_t condition, uint32_t otherwise = Always) {
  return holds ? condition : otherwise;
}

/// Conditions that depend on a tensor's place `i` among `n`.
uint32_t place_conditions(int64_t i, int64_t n) {
  const bool more = i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
  return when(more, MoreBits) | when(i < 2, FirstTwo) | when(i < 4, FirstFour) |
         when(i < n / 8, FirstEighth) | when(i < n / 16, FirstSixteenth);
}

/// Models of 80 layers that share their heads, as the public tools recognise them.
bool is_seventy(const MixFacts& facts) {
  if (facts.layers != 80 || facts.experts == 8) return false;
  if (facts.architecture == "llama") return facts.heads != facts.heads_kv;
  return facts.architecture == "qwen2" || facts.architecture == "deci";
}

uint32_t model_conditions(const MixFacts& facts, const TypeRequest& request) {
  const bool shared = facts.heads_kv > 0 && facts.heads / facts.heads_kv >= 4;
  return when(shared, SharedHeads) | when(facts.experts == 8, EightExperts, OtherExperts) |
         when(facts.architecture == "falcon", Falcon, NotFalcon) |
         when(request.with_importance, Importance, NoImportance) | when(is_seventy(facts), Seventy);
}

/// The running counts of one model.
class Chooser {
 public:
  Chooser(const MixFacts& facts, std::span<const TensorInfo> tensors, const TypeRequest& request)
      : facts_(facts), request_(request), conditions_(model_conditions(facts, request)) {
    const auto is_output = [](const TensorInfo& tensor) { return tensor.name == "output.weight"; };
    has_output_ = std::ranges::any_of(tensors, is_output);
    for (const TensorInfo& tensor : tensors)
      n_attention_v_ += category_of(tensor.name, has_output_) == Category::AttentionV;
    matched_.resize(request.wishes.size());
  }

  Result<TypeChoice> choose(const TensorInfo& tensor);
  Result<void> check_all_matched() const;

 private:
  Result<const TypeWish*> wish_for(const TensorInfo& tensor);
  [[nodiscard]] std::optional<QuantType> fixed_type(const TensorInfo& tensor) const;
  QuantType by_mix(const TensorInfo& tensor);

  const MixFacts& facts_;
  const TypeRequest& request_;
  uint32_t conditions_;
  bool has_output_ = false;
  int64_t n_attention_v_ = 0;
  int64_t i_attention_v_ = 0, i_ffn_down_ = 0;
  std::vector<bool> matched_;  ///< per wish: it names some tensor
};

Result<const TypeWish*> Chooser::wish_for(const TensorInfo& tensor) {
  const TypeWish* chosen = nullptr;
  for (size_t i = 0; i < request_.wishes.size(); ++i) {
    if (chosen && matched_[i]) continue;
    const TypeWish& wish = request_.wishes[i];
    Result<bool> found = wish.pattern.found_in(tensor.name);
    if (!found) return fail_in(wish.place, std::move(found.error()));
    if (!*found) continue;
    matched_[i] = true;
    if (!chosen) chosen = &wish;
  }
  return chosen;
}

/// What --output-tensor-type and --token-embedding-type say.
std::optional<QuantType> Chooser::fixed_type(const TensorInfo& tensor) const {
  const bool embedding =
      tensor.name == "token_embd.weight" || tensor.name == "per_layer_token_embd.weight";
  if (embedding && request_.token_embedding) return request_.token_embedding;
  if (tensor.name == "output.weight") return request_.output;
  return std::nullopt;
}

QuantType Chooser::by_mix(const TensorInfo& tensor) {
  const bool rules = !request_.pure && info(request_.mix->type).block_weights > 1;
  if (!rules) return request_.mix->type;  // the float mixes have none
  const Category category = category_of(tensor.name, has_output_);
  if (category == Category::Output && request_.output) return *request_.output;
  int64_t i = 0, n = 1;
  if (category == Category::AttentionV) {
    i = i_attention_v_++;
    n = n_attention_v_;
  } else if (category == Category::FfnDown) {
    const int64_t layer = layer_of(tensor.name);  // experts are not one after another in all files
    i = facts_.experts > 1 && layer >= 0 ? layer : i_ffn_down_;
    n = facts_.layers;
    ++i_ffn_down_;
  }
  return type_by_rules(*request_.mix, category,
                       conditions_ | place_conditions(i, n) | when(tensor.shape[2] > 1, Stacked) |
                           when(fits(request_.mix->type, tensor), WholeBlocks));
}

tl::unexpected<Error> cannot_hold(const TensorInfo& tensor, QuantType type,
                                  const std::string& place) {
  return fail(ErrorCode::BadArgument,
              "{}: tensor {} has rows of {} weights, which {} cannot hold: its blocks are of {}",
              place, tensor.name, tensor.shape[0], info(type).name, info(type).block_weights);
}

Result<TypeChoice> Chooser::choose(const TensorInfo& tensor) {
  PUMICE_TRY_ASSIGN(const TypeWish* wish, wish_for(tensor));
  if (!is_quantisable(tensor)) {
    if (wish && wish->type == QuantType::F32) return TypeChoice{QuantType::F32, ChosenBy::User};
    const bool norm = request_.mix && request_.mix->id == MixId::Seed &&
                      tensor.name.find("_norm.") != std::string_view::npos;
    if (norm) return TypeChoice{QuantType::F32, ChosenBy::Mix};
    return TypeChoice{tensor.type, ChosenBy::Kept};
  }
  if (const auto fixed = fixed_type(tensor)) {
    const bool embedding = tensor.name != "output.weight";
    if (!fits(*fixed, tensor))
      return cannot_hold(tensor, *fixed,
                         embedding ? "--token-embedding-type" : "--output-tensor-type");
    return TypeChoice{*fixed, ChosenBy::User};
  }
  if (wish) {
    if (!fits(wish->type, tensor)) return cannot_hold(tensor, wish->type, wish->place);
    return TypeChoice{wish->type, ChosenBy::User};
  }
  if (!request_.mix) return TypeChoice{tensor.type, ChosenBy::Kept};
  TypeChoice choice{by_mix(tensor), ChosenBy::Mix};
  for (; !fits(choice.type, tensor); choice.by = ChosenBy::Fallback)
    choice.type = fallback_of(choice.type);
  return choice;
}

Result<void> Chooser::check_all_matched() const {
  for (size_t i = 0; i < matched_.size(); ++i)
    if (!matched_[i])
      return fail(ErrorCode::BadArgument, "{}: no tensor has a name with \"{}\"",
                  request_.wishes[i].place, printable(request_.wishes[i].pattern.text(), 200));
  return {};
}

}  // namespace

Result<MixFacts> mix_facts(const Metadata& metadata, std::span<const TensorInfo> tensors) {
  MixFacts facts;
  int64_t highest = -1;
  for (const TensorInfo& tensor : tensors) highest = std::max(highest, layer_of(tensor.name));
  PUMICE_TRY_ASSIGN(facts.architecture, metadata.get_string_or("general.architecture", ""));
  const std::string prefix = facts.architecture + ".";
  PUMICE_TRY_ASSIGN(facts.layers,
                    first_u32(metadata, prefix + "block_count", uint32_t(highest + 1)));
  PUMICE_TRY_ASSIGN(facts.heads, first_u32(metadata, prefix + "attention.head_count", 0));
  PUMICE_TRY_ASSIGN(facts.heads_kv,
                    first_u32(metadata, prefix + "attention.head_count_kv", facts.heads));
  PUMICE_TRY_ASSIGN(facts.experts, first_u32(metadata, prefix + "expert_count", 0));
  return facts;
}

bool is_quantisable(const TensorInfo& tensor) {
  const std::string_view name = tensor.name;
  if (tensor.n_weights == tensor.shape[0] || !name.ends_with("weight")) return false;
  if (name == "position_embd.weight" || name == "token_types.weight") return false;
  return std::ranges::none_of(kept_names(), [&](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  });
}

Result<std::vector<TypeChoice>> choose_types(const MixFacts& facts,
                                             std::span<const TensorInfo> tensors,
                                             const TypeRequest& request) {
  Chooser chooser(facts, tensors, request);
  std::vector<TypeChoice> choices(tensors.size());
  for (const size_t at : counting_order(tensors)) {
    PUMICE_TRY_ASSIGN(choices[at], chooser.choose(tensors[at]));
  }
  PUMICE_TRY(chooser.check_all_matched());
  return choices;
}

}  // namespace pumice::quant
