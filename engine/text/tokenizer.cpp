// Special ids and flags, the split of text at markers, and decoding. The models do the merging.
#include "engine/text/tokenizer.h"

#include <algorithm>

#include "engine/text/marker_matcher.h"
#include "engine/text/token_model.h"

namespace pumice {

using text::kNoToken;

struct Tokenizer::State {
  text::TokenData data;
  std::unique_ptr<const text::TokenModel> model;  ///< null: ids only
  text::MarkerMatcher controls;
  text::MarkerMatcher user_defined;
  int32_t n_vocab = 0;
  int32_t bos = kNoToken, eos = kNoToken, end_of_turn = kNoToken, padding = kNoToken;
  std::vector<int32_t> end_of_generation;
  bool adds_bos = false, adds_eos = false, space_prefix = false;
  bool strips_after_markers = false;  ///< Phi-3: white space behind a control token is dropped
  std::string model_key, pre_key, chat_template;
};

namespace {

struct SpecialRow {
  std::string_view key;
  int64_t SpecialTokens::*field;
};

constexpr SpecialRow kSpecials[] = {
    {"bos", &SpecialTokens::bos},
    {"eos", &SpecialTokens::eos},
    {"eot", &SpecialTokens::eot},
    {"eom", &SpecialTokens::eom},
    {"unknown", &SpecialTokens::unknown},
    {"padding", &SpecialTokens::padding},
    {"seperator", &SpecialTokens::separator},
    {"mask", &SpecialTokens::mask},
};

Result<void> check_special_ids(const Vocabulary& vocabulary, size_t n_vocab) {
  for (const SpecialRow& row : kSpecials) {
    const int64_t id = vocabulary.special.*row.field;
    if (id == -1 || (id >= 0 && uint64_t(id) < n_vocab)) continue;
    return fail(ErrorCode::BadFile,
                "{}: tokenizer.ggml.{}_token_id is {}, but the vocabulary has {} tokens",
                vocabulary.source, row.key, id, n_vocab);
  }
  return {};
}

/// Where the file names no id: SentencePiece's customary ones, if the texts there confirm it.
void default_sentence_piece_ids(const Vocabulary& vocabulary, SpecialTokens& special) {
  const auto take = [&](int64_t& id, size_t customary, std::string_view text) {
    if (id == -1 && customary < vocabulary.tokens.size() && vocabulary.tokens[customary] == text)
      id = int64_t(customary);
  };
  take(special.unknown, 0, "<unk>");
  take(special.bos, 1, "<s>");
  take(special.eos, 2, "</s>");
}

bool is_phi3(std::string_view name) {
  std::string lower(name.substr(0, 256));
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return lower.find("phi-3") != std::string::npos || lower.find("phi3") != std::string::npos;
}

bool is_ascii_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Walks the parts once: control tokens cut the text into runs, runs are cut at user-defined
/// tokens, and what is left goes to the model.
class PartEncoder {
 public:
  PartEncoder(const text::TokenData& data, const text::TokenModel& model,
              const text::MarkerMatcher& controls, const text::MarkerMatcher& user_defined,
              bool strips, std::vector<int32_t>& ids)
      : data_(data),
        model_(model),
        controls_(controls),
        user_defined_(user_defined),
        strips_(strips),
        ids_(ids) {}

  Result<void> add(const TextPart& part, bool only_part) {
    size_t at = 0;
    while (part.is_template && at < part.text.size()) {
      const auto match = controls_.find(data_.pieces, part.text, at);
      if (match.bytes == 0) break;
      append(part.text.substr(at, match.begin - at));
      PUMICE_TRY(flush(run_));
      run_.clear();
      ids_.push_back(match.id);
      strip_next_ = strips_ && strips_after(match.id);
      after_marker_ = true;
      at = match.begin + match.bytes;
    }
    if (only_part && at == 0) return flush(part.text);  // no copy of a long text
    append(part.text.substr(at));
    return {};
  }

  Result<void> finish() { return flush(run_); }

 private:
  bool strips_after(int32_t id) const {
    const std::string_view text = data_.pieces[id];
    return text != "<s>" && text != "<unk>" && text != "<|endoftext|>";
  }

  void append(std::string_view text) {
    while (strip_next_ && !text.empty() && is_ascii_space(text[0])) text.remove_prefix(1);
    if (text.empty()) return;
    strip_next_ = false;
    run_.append(text);
  }

  Result<void> flush(std::string_view run) {
    for (size_t at = 0; at < run.size();) {
      const auto match = user_defined_.find(data_.pieces, run, at);
      if (match.begin > at) {
        PUMICE_TRY(model_.encode(run.substr(at, match.begin - at), after_marker_, scratch_, ids_));
        after_marker_ = false;
      }
      if (match.bytes == 0) break;
      ids_.push_back(match.id);
      after_marker_ = true;
      at = match.begin + match.bytes;
    }
    return {};
  }

  const text::TokenData& data_;
  const text::TokenModel& model_;
  const text::MarkerMatcher& controls_;
  const text::MarkerMatcher& user_defined_;
  const bool strips_;
  std::vector<int32_t>& ids_;
  text::EncodeScratch scratch_;
  std::string run_;
  bool after_marker_ = true;
  bool strip_next_ = false;
};

/// Fills a Tokenizer::State (private, hence the templates) step by step.
class TokenizerBuilder {
 public:
  explicit TokenizerBuilder(const Vocabulary& vocabulary) : v_(vocabulary) {}

  template <class State>
  Result<void> build(State& s) {
    s.model_key = v_.model;
    s.chat_template = v_.chat_template;
    SpecialTokens special = v_.special;
    const bool spm = v_.model == "llama", bpe = v_.model == "gpt2";
    if (!spm && !bpe && v_.model != "none" && v_.model != "test")
      return fail(ErrorCode::Unsupported,
                  "{}: tokenizer.ggml.model is \"{}\"; supported: llama, gpt2, none, test",
                  v_.source, v_.model.substr(0, 64));
    if (spm || bpe) {
      PUMICE_TRY_ASSIGN(s.data, text::build_token_data(v_, bpe));
      s.n_vocab = int32_t(s.data.pieces.size());
      if (spm) default_sentence_piece_ids(v_, special);
    } else {
      PUMICE_TRY(without_text(s));
    }
    PUMICE_TRY(check_special_ids(v_, size_t(s.n_vocab)));
    set_ids(s, special);
    if (spm || bpe) PUMICE_TRY(make_model(s, bpe));
    return set_flags(s, spm);
  }

 private:
  template <class State>
  Result<void> without_text(State& s) {
    const size_t n = v_.tokens.empty() ? v_.n_without_tokens : v_.tokens.size();
    if (n == 0 || n > Tokenizer::kMaxTokens)
      return fail(
          ErrorCode::BadFile,
          "{}: the vocabulary has {} tokens (tokenizer.ggml.tokens or vocab_size), expected "
          "1 to {}",
          v_.source, n, Tokenizer::kMaxTokens);
    s.n_vocab = int32_t(n);
    for (const std::string_view token : v_.tokens) s.data.pieces.add(token);
    return {};
  }

  template <class State>
  void set_ids(State& s, const SpecialTokens& special) {
    s.bos = int32_t(special.bos);
    s.eos = int32_t(special.eos);
    s.padding = int32_t(special.padding);
    s.data.unknown = int32_t(special.unknown);
    s.end_of_generation = s.data.end_of_generation;
    for (const int64_t id : {special.eos, special.eot, special.eom})
      if (id >= 0) s.end_of_generation.push_back(int32_t(id));
    std::sort(s.end_of_generation.begin(), s.end_of_generation.end());
    s.end_of_generation.erase(std::unique(s.end_of_generation.begin(), s.end_of_generation.end()),
                              s.end_of_generation.end());
    s.end_of_turn = int32_t(special.eot);
    for (const std::string_view mark : {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>"})
      for (const int32_t id : s.data.end_of_generation)
        if (s.end_of_turn == kNoToken && s.data.pieces[id] == mark) s.end_of_turn = id;
    if (s.end_of_turn == kNoToken) s.end_of_turn = s.eos;
  }

  template <class State>
  Result<void> make_model(State& s, bool bpe) {
    s.controls = text::MarkerMatcher(s.data.pieces, s.data.controls);
    s.user_defined = text::MarkerMatcher(s.data.pieces, s.data.user_defined);
    s.strips_after_markers = is_phi3(v_.model_name);
    Result<std::unique_ptr<const text::TokenModel>> model;
    if (bpe) {
      const auto rules = text::find_pre_tokenizer(v_.pre_tokenizer);
      if (!rules) return fail_in(v_.source, rules.error());
      s.pre_key = (*rules)->key;
      bpe_adds_bos_ = (*rules)->add_bos;
      model = text::make_byte_level_bpe(s.data, **rules, v_.merges);
    } else {
      s.space_prefix = v_.add_space_prefix != Tristate::No;
      model = text::make_sentence_piece(s.data, s.space_prefix);
    }
    if (!model) return fail_in(v_.source, model.error());
    s.model = std::move(*model);
    return {};
  }

  template <class State>
  Result<void> set_flags(State& s, bool spm) {
    struct Row {
      std::string_view name;
      Tristate file;
      bool fallback;
      int32_t id;
      bool& target;
    };
    for (const Row& row : {Row{"bos", v_.add_bos, spm || bpe_adds_bos_, s.bos, s.adds_bos},
                           Row{"eos", v_.add_eos, false, s.eos, s.adds_eos}}) {
      if (row.file == Tristate::Yes && row.id == kNoToken)
        return fail(ErrorCode::BadFile,
                    "{}: tokenizer.ggml.add_{}_token is true, but there is no "
                    "tokenizer.ggml.{}_token_id",
                    v_.source, row.name, row.name);
      const bool wanted = row.file == Tristate::Default ? row.fallback : row.file == Tristate::Yes;
      row.target = wanted && row.id != kNoToken;
    }
    return {};
  }

  const Vocabulary& v_;
  bool bpe_adds_bos_ = false;
};

}  // namespace

Result<Tokenizer> Tokenizer::create(const Vocabulary& vocabulary) {
  auto state = std::make_shared<State>();
  PUMICE_TRY(TokenizerBuilder(vocabulary).build(*state));
  return Tokenizer(std::move(state));
}

Result<Tokenizer> Tokenizer::create(const Metadata& metadata) {
  PUMICE_TRY_ASSIGN(const Vocabulary vocabulary, read_vocabulary(metadata));
  return create(vocabulary);
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const TextPart part{text, options.parse_special};
  return encode_parts({&part, 1}, options.add_bos, options.add_eos);
}

Result<std::vector<int32_t>> Tokenizer::encode_parts(std::span<const TextPart> parts, bool add_bos,
                                                     bool add_eos) const {
  const State& s = *state_;
  if (!s.model)
    return fail(
        ErrorCode::Unsupported,
        "this model's vocabulary (tokenizer.ggml.model \"{}\") has ids only, no texts; give "
        "token ids instead of text",
        s.model_key);
  uint64_t bytes = 0;
  for (const TextPart& part : parts) bytes += part.text.size();
  if (bytes > kMaxTextBytes)
    return fail(ErrorCode::BadArgument, "the text has {} bytes, at most {} can be encoded at once",
                bytes, kMaxTextBytes);
  std::vector<int32_t> ids;
  if (add_bos && s.adds_bos) ids.push_back(s.bos);
  PartEncoder encoder(s.data, *s.model, s.controls, s.user_defined, s.strips_after_markers, ids);
  for (const TextPart& part : parts) PUMICE_TRY(encoder.add(part, parts.size() == 1));
  PUMICE_TRY(encoder.finish());
  if (add_eos && s.adds_eos) ids.push_back(s.eos);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  std::string text;
  for (const int32_t id : ids)
    if (options.render_special || !is_control(id)) text += piece(id);
  if (options.strip_space_prefix && state_->space_prefix && !text.empty() && text[0] == ' ')
    text.erase(0, 1);
  return text;
}

std::string_view Tokenizer::piece(int32_t id) const {
  if (id < 0 || size_t(id) >= state_->data.pieces.size()) return {};
  return state_->data.pieces[id];
}

TokenType Tokenizer::type(int32_t id) const {
  const auto& types = state_->data.types;
  return id >= 0 && size_t(id) < types.size() ? types[size_t(id)] : TokenType::Undefined;
}

bool Tokenizer::is_control(int32_t id) const {
  const TokenType t = type(id);
  return t == TokenType::Control || t == TokenType::Unknown;
}

bool Tokenizer::is_end_of_generation(int32_t id) const {
  const auto& ids = state_->end_of_generation;
  return std::binary_search(ids.begin(), ids.end(), id);
}

int32_t Tokenizer::find_control(std::string_view text) const {
  const auto match = state_->controls.find(state_->data.pieces, text, 0);
  return match.begin == 0 && match.bytes == text.size() ? match.id : kNoToken;
}

std::span<const int32_t> Tokenizer::end_of_generation() const {
  return state_->end_of_generation;
}
bool Tokenizer::has_text() const {
  return state_->model != nullptr;
}
int32_t Tokenizer::n_vocab() const {
  return state_->n_vocab;
}
int32_t Tokenizer::bos() const {
  return state_->bos;
}
int32_t Tokenizer::eos() const {
  return state_->eos;
}
int32_t Tokenizer::end_of_turn() const {
  return state_->end_of_turn;
}
int32_t Tokenizer::unknown() const {
  return state_->data.unknown;
}
int32_t Tokenizer::padding() const {
  return state_->padding;
}
bool Tokenizer::adds_bos() const {
  return state_->adds_bos;
}
bool Tokenizer::adds_eos() const {
  return state_->adds_eos;
}
std::string_view Tokenizer::model() const {
  return state_->model_key;
}
std::string_view Tokenizer::pre_tokenizer() const {
  return state_->pre_key;
}
std::string_view Tokenizer::chat_template() const {
  return state_->chat_template;
}

}  // namespace pumice
