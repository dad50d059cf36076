// Which tensor of a model gets which type: the named mixes that users know, with the allocation
// rules that the public tools follow. A pure function of names, shapes and metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/pattern.h"
#include "loader/metadata.h"
#include "loader/quant_type.h"
#include "loader/tensor_info.h"

namespace pumice::quant {

enum class MixId : uint8_t {
  // clang-format off
  F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q2_K_S, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S,
  Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, IQ4_NL, IQ4_XS, IQ3_S, MXFP4_MOE, Seed,
  // clang-format on
};

struct Mix {
  MixId id;
  std::string_view name;  ///< as users write it: "Q4_K_M"
  QuantType type;         ///< of every tensor that no rule names
  uint32_t file_type;     ///< what general.file_type says
};

[[nodiscard]] std::span<const Mix> mixes();
/// By name or alias ("Q4_K" is Q4_K_M) in any case; null when there is none.
[[nodiscard]] const Mix* find_mix(std::string_view name);
/// "Q4_0, Q4_1, ...", for messages.
[[nodiscard]] std::string mix_names();
/// A type by the name of its row in the quant-type table, in any case; null when there is none.
[[nodiscard]] const QuantTypeInfo* find_type(std::string_view name);
/// What general.file_type says of a file whose weights are mostly of this type.
[[nodiscard]] uint32_t file_type_of(QuantType type);

/// What the rules ask of a model beside its tensors.
struct MixFacts {
  std::string architecture;
  uint32_t layers = 0;
  uint32_t heads = 0, heads_kv = 0;  ///< of the first layer
  uint32_t experts = 0;
};

/// From the metadata; the number of layers from the names where no key says it. A key of the wrong
/// type is an error.
[[nodiscard]] Result<MixFacts> mix_facts(const Metadata& metadata,
                                         std::span<const TensorInfo> tensors);

/// One user's wish: tensors whose name the pattern is found in get the type.
struct TypeWish {
  Pattern pattern;
  QuantType type;
  std::string place;  ///< where it was written, for messages: "--tensor-type x=y", "FILE, line 3"
};

struct TypeRequest {
  const Mix* mix = nullptr;  ///< null: tensors that no wish names stay as they are
  bool pure = false;         ///< the mix's own type everywhere, no rules
  bool with_importance = false;
  std::vector<TypeWish> wishes;  ///< the first that matches a name decides
  std::optional<QuantType> output, token_embedding;
};

enum class ChosenBy { Mix, Fallback, User, Kept };

struct TypeChoice {
  QuantType type = QuantType::F32;
  ChosenBy by = ChosenBy::Kept;
};

/// True for the matrices that the public tools quantise; norms, biases, routers, positions and a
/// list of small ones stay as they are, except that a wish for f32 is granted.
[[nodiscard]] bool is_quantisable(const TensorInfo& tensor);

/// The type of every tensor, in the order given. Errors: a wish whose type cannot hold a row, one
/// that names no tensor, one whose pattern takes too long.
[[nodiscard]] Result<std::vector<TypeChoice>> choose_types(const MixFacts& facts,
                                                           std::span<const TensorInfo> tensors,
                                                           const TypeRequest& request);

}  // namespace pumice::quant
