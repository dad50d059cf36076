// Reads the tokenizer.* keys. One table for the ids, one for the flags.
#include "engine/text/vocabulary.h"

#include <fmt/format.h>

namespace pumice {
namespace {

struct IdKey {
  std::string_view key;
  int64_t SpecialTokens::*field;
};

constexpr IdKey kIdKeys[] = {
    {"tokenizer.ggml.bos_token_id", &SpecialTokens::bos},
    {"tokenizer.ggml.eos_token_id", &SpecialTokens::eos},
    {"tokenizer.ggml.eot_token_id", &SpecialTokens::eot},
    {"tokenizer.ggml.eom_token_id", &SpecialTokens::eom},
    {"tokenizer.ggml.unknown_token_id", &SpecialTokens::unknown},
    {"tokenizer.ggml.padding_token_id", &SpecialTokens::padding},
    {"tokenizer.ggml.seperator_token_id", &SpecialTokens::separator},  // spelt so in files
    {"tokenizer.ggml.mask_token_id", &SpecialTokens::mask},
};

struct FlagKey {
  std::string_view key;
  Tristate Vocabulary::*field;
};

constexpr FlagKey kFlagKeys[] = {
    {"tokenizer.ggml.add_bos_token", &Vocabulary::add_bos},
    {"tokenizer.ggml.add_eos_token", &Vocabulary::add_eos},
    {"tokenizer.ggml.add_space_prefix", &Vocabulary::add_space_prefix},
};

Result<void> read_arrays(const Metadata& metadata, Vocabulary& vocabulary) {
  if (metadata.contains("tokenizer.ggml.tokens")) {
    PUMICE_TRY_ASSIGN(vocabulary.tokens, metadata.get_strings("tokenizer.ggml.tokens"));
  }
  if (metadata.contains("tokenizer.ggml.scores")) {
    PUMICE_TRY_ASSIGN(vocabulary.scores, metadata.get_f32s("tokenizer.ggml.scores"));
  }
  if (metadata.contains("tokenizer.ggml.token_type")) {
    PUMICE_TRY_ASSIGN(vocabulary.types, metadata.get_i32s("tokenizer.ggml.token_type"));
  }
  if (metadata.contains("tokenizer.ggml.merges")) {
    PUMICE_TRY_ASSIGN(vocabulary.merges, metadata.get_strings("tokenizer.ggml.merges"));
  }
  return {};
}

/// A model without texts may give its size under the architecture's name.
Result<uint32_t> read_size(const Metadata& metadata) {
  PUMICE_TRY_ASSIGN(const std::string_view arch,
                    metadata.get_string_or("general.architecture", ""));
  return metadata.get_u32_or(fmt::format("{}.vocab_size", arch), 0);
}

}  // namespace

Result<Vocabulary> read_vocabulary(const Metadata& metadata) {
  Vocabulary vocabulary;
  vocabulary.source = metadata.source();
  PUMICE_TRY_ASSIGN(vocabulary.model, metadata.get_string("tokenizer.ggml.model"));
  PUMICE_TRY_ASSIGN(vocabulary.pre_tokenizer, metadata.get_string_or("tokenizer.ggml.pre", ""));
  PUMICE_TRY_ASSIGN(vocabulary.model_name, metadata.get_string_or("general.name", ""));
  PUMICE_TRY_ASSIGN(vocabulary.chat_template,
                    metadata.get_string_or("tokenizer.chat_template", ""));
  PUMICE_TRY(read_arrays(metadata, vocabulary));
  for (const IdKey& row : kIdKeys) {
    if (!metadata.contains(row.key)) continue;
    PUMICE_TRY_ASSIGN(vocabulary.special.*row.field, metadata.get_u32(row.key));
  }
  for (const FlagKey& row : kFlagKeys) {
    if (!metadata.contains(row.key)) continue;
    PUMICE_TRY_ASSIGN(const bool yes, metadata.get_bool(row.key));
    vocabulary.*row.field = yes ? Tristate::Yes : Tristate::No;
  }
  PUMICE_TRY_ASSIGN(vocabulary.n_without_tokens, read_size(metadata));
  return vocabulary;
}

}  // namespace pumice
