// Vocabularies that contradict themselves: each is one clear error, never a crash.
#include <cmath>
#include <functional>
#include <iterator>

#include "tests/unit/text/fixtures.h"

namespace pumice::text_tests {
namespace {

struct Row {
  const char* name;
  const char* model;
  std::function<void(OwnedVocabulary&)> change;
  ErrorCode code;
  const char* words;
  std::function<void(Vocabulary&)> late = nullptr;  ///< on the finished views
};

OwnedVocabulary sound(const std::string& model) {
  OwnedVocabulary v;
  if (model == "llama") add_llama_head(v);
  if (model == "gpt2") add_byte_characters(v);
  v.add("ab");
  v.merge_texts = {"a b"};
  v.vocabulary.pre_tokenizer = "gpt-2";
  return v;
}

const auto kNothing = [](OwnedVocabulary&) {};

const Row kRows[] = {
    {"no tokens", "llama", [](auto& v) { v = {}; }, ErrorCode::BadFile, "absent or empty"},
    {"no tokens, bpe", "gpt2", [](auto& v) { v = {}; }, ErrorCode::BadFile, "absent or empty"},
    {"no size at all", "none", [](auto& v) { v = {}; }, ErrorCode::BadFile, "has 0 tokens"},
    {"size over the cap", "none",
     [](auto& v) {
       v = {};
       v.vocabulary.n_without_tokens = UINT32_MAX;
     },
     ErrorCode::BadFile, "expected 1 to"},
    {"unknown model", "wordpiece", kNothing, ErrorCode::Unsupported,
     "\"wordpiece\"; supported: llama, gpt2"},
    {"empty model", "", kNothing, ErrorCode::Unsupported, "supported: llama"},
    {"unknown pre-tokenizer", "gpt2", [](auto& v) { v.vocabulary.pre_tokenizer = "klingon"; },
     ErrorCode::Unsupported,
     "\"klingon\", a pre-tokenizer that is not known; supported: default, gpt-2"},
    {"bos one past the end", "gpt2", [](auto& v) { v.vocabulary.special.bos = 257; },
     ErrorCode::BadFile, "bos_token_id is 257, but the vocabulary has 257 tokens"},
    {"eos 2^32-1", "gpt2", [](auto& v) { v.vocabulary.special.eos = UINT32_MAX; },
     ErrorCode::BadFile, "eos_token_id is 4294967295"},
    {"eot 2^31", "llama", [](auto& v) { v.vocabulary.special.eot = 1ll << 31; }, ErrorCode::BadFile,
     "eot_token_id is 2147483648"},
    {"negative id", "llama", [](auto& v) { v.vocabulary.special.mask = -2; }, ErrorCode::BadFile,
     "mask_token_id is -2"},
    {"unknown id out of range", "llama", [](auto& v) { v.vocabulary.special.unknown = 999; },
     ErrorCode::BadFile, "unknown_token_id is 999"},
    {"id out of range without texts", "test", [](auto& v) { v.vocabulary.special.eos = 11; },
     ErrorCode::BadFile, "eos_token_id is 11, but the vocabulary has 1 tokens"},
    {"scores too short", "llama", kNothing, ErrorCode::BadFile,
     "scores has 259 elements, expected 260",
     [](Vocabulary& v) { v.scores = v.scores.subspan(1); }},
    {"types too short", "gpt2", kNothing, ErrorCode::BadFile,
     "token_type has 1 elements, expected 257", [](Vocabulary& v) { v.types = v.types.first(1); }},
    {"types too long", "gpt2", [](auto& v) { v.types.push_back(1); }, ErrorCode::BadFile,
     "token_type has 258 elements, expected 257"},
    {"score NaN", "llama", [](auto& v) { v.scores[5] = NAN; }, ErrorCode::BadFile,
     "score of token 5 is nan"},
    {"score infinite", "llama", [](auto& v) { v.scores[0] = -INFINITY; }, ErrorCode::BadFile,
     "score of token 0 is -inf"},
    {"type 7", "gpt2", [](auto& v) { v.types[3] = 7; }, ErrorCode::BadFile,
     "type of token 3 is 7, expected 0 to 6"},
    {"type negative", "llama", [](auto& v) { v.types[3] = INT32_MIN; }, ErrorCode::BadFile,
     "type of token 3 is -2147483648"},
    {"byte token <0x-1>", "llama", [](auto& v) { v.texts[4] = "<0x-1>"; }, ErrorCode::BadFile,
     "token 4 has type byte but its text is \"<0x-1>\""},
    {"byte token <0xZZ>", "llama", [](auto& v) { v.texts[4] = "<0xZZ>"; }, ErrorCode::BadFile,
     "<0xZZ>"},
    {"byte token <0x100>", "llama", [](auto& v) { v.texts[4] = "<0x100>"; }, ErrorCode::BadFile,
     "<0x100>"},
    {"byte token empty", "llama", [](auto& v) { v.texts[4] = ""; }, ErrorCode::BadFile,
     "expected \"<0x00>\""},
    {"byte token twice", "llama", [](auto& v) { v.texts[4] = "<0x00>"; }, ErrorCode::BadFile,
     "tokens 3 and 4 both stand for the byte <0x00>"},
    {"byte token of a byte-level vocabulary", "gpt2",
     [](auto& v) { v.types[65] = int32_t(TokenType::Byte); }, ErrorCode::BadFile,
     "token 65 has type byte"},
    {"same text twice", "llama", [](auto& v) { v.add("ab"); }, ErrorCode::BadFile,
     "tokens 259 and 260 of the vocabulary have the same text"},
    {"same text twice, bpe", "gpt2", [](auto& v) { v.add("ab"); }, ErrorCode::BadFile,
     "tokens 256 and 257"},
    {"merge without space", "gpt2", [](auto& v) { v.merge_texts.push_back("ab"); },
     ErrorCode::BadFile, "merges[1] is \"ab\""},
    {"merge of three parts", "gpt2", [](auto& v) { v.merge_texts.push_back("a b c"); },
     ErrorCode::BadFile, "two parts with one space"},
    {"merge with empty part", "gpt2", [](auto& v) { v.merge_texts.push_back(" b"); },
     ErrorCode::BadFile, "two parts with one space"},
    {"merge with empty tail", "gpt2", [](auto& v) { v.merge_texts.push_back("b "); },
     ErrorCode::BadFile, "two parts with one space"},
    {"empty merge", "gpt2", [](auto& v) { v.merge_texts.push_back(""); }, ErrorCode::BadFile,
     "two parts with one space"},
    {"bos wanted, none there", "gpt2", [](auto& v) { v.vocabulary.add_bos = Tristate::Yes; },
     ErrorCode::BadFile, "add_bos_token is true, but there is no"},
    {"eos wanted, none there", "gpt2", [](auto& v) { v.vocabulary.add_eos = Tristate::Yes; },
     ErrorCode::BadFile, "add_eos_token is true, but there is no"},
};

TEST(HostileVocabulary, EveryRowIsAnErrorWithWords) {
  for (const Row& row : kRows) {
    OwnedVocabulary v = sound(row.model);
    row.change(v);
    Vocabulary& vocabulary = v.finish(row.model);
    if (row.late) row.late(vocabulary);
    const auto tokenizer = Tokenizer::create(vocabulary);
    ASSERT_FALSE(tokenizer) << row.name;
    EXPECT_EQ(tokenizer.error().code, row.code) << row.name;
    EXPECT_NE(tokenizer.error().text.find(row.words), std::string::npos)
        << row.name << ": " << tokenizer.error().text;
  }
  EXPECT_GE(std::size(kRows), 20u);
}

// Odd but harmless: these must load and work.
struct OddRow {
  const char* name;
  const char* model;
  std::function<void(OwnedVocabulary&)> change;
};

const OddRow kOddRows[] = {
    {"empty texts", "gpt2", [](auto& v) { v.add(""), v.add(""); }},
    {"a megabyte token", "gpt2", [](auto& v) { v.add(std::string(1 << 20, 'x')); }},
    {"a megabyte control token", "llama",
     [](auto& v) { v.add(std::string(1 << 20, 'x'), TokenType::Control); }},
    {"a megabyte user-defined token", "llama",
     [](auto& v) { v.add(std::string(1 << 20, 'x'), TokenType::UserDefined); }},
    {"control token with the text of a word", "gpt2",
     [](auto& v) { v.add("ab", TokenType::Control); }},
    {"control tokens with equal texts", "gpt2",
     [](auto& v) { v.add("<|x|>", TokenType::Control), v.add("<|x|>", TokenType::Control); }},
    {"merges of unknown parts", "gpt2",
     [](auto& v) {
       v.merge_texts.insert(v.merge_texts.end(), {"q\xC4\xA0 z", "zz zz", "日 本"});
     }},
    {"the same merge many times", "gpt2", [](auto& v) { v.merge_texts.resize(100000, "a b"); }},
    {"invalid UTF-8", "llama", [](auto& v) { v.add("\xFF\xC3"); }},
    {"invalid UTF-8, bpe", "gpt2", [](auto& v) { v.add("\xFF\xC3"); }},
    {"texts with zeros", "llama", [](auto& v) { v.add(std::string("a\0b", 3)); }},
    {"suffixes of one long run", "llama",
     [](auto& v) {
       for (size_t n = 1; n <= 2000; ++n) v.add(std::string(n, 'z'), TokenType::Normal, float(n));
     }},
    {"nothing but bytes", "gpt2", [](auto& v) { v.merge_texts.clear(); }},
};

TEST(HostileVocabulary, OddOnesStillWork) {
  const std::string text = "ab zzzz \xFF é <|x|> xx\n" + std::string(5000, 'z');
  for (const OddRow& row : kOddRows) {
    OwnedVocabulary v = sound(row.model);
    row.change(v);
    const auto tokenizer = Tokenizer::create(v.finish(row.model));
    ASSERT_TRUE(tokenizer) << row.name << ": " << tokenizer.error().text;
    const auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids) << row.name << ": " << ids.error().text;
    EXPECT_TRUE(tokenizer->decode(*ids, {.strip_space_prefix = true}) == text) << row.name;
    EXPECT_TRUE(tokenizer->encode(text, {.parse_special = true})) << row.name;
  }
}

TEST(HostileVocabulary, AMillionTokensAndMerges) {
  OwnedVocabulary v;
  add_byte_characters(v);
  for (int i = 0; i < (1 << 20) - 256; ++i) v.add("t" + std::to_string(i));
  for (int i = 0; i < 1 << 20; ++i)
    v.merge_texts.push_back("t" + std::to_string(i) + " " + std::to_string(i % 10));
  EXPECT_TRUE(Tokenizer::create(v.finish("gpt2")));
  v.add("one more");
  const auto over = Tokenizer::create(v.finish("gpt2"));
  ASSERT_FALSE(over);
  EXPECT_NE(over.error().text.find("at most 1048576"), std::string::npos) << over.error().text;
}

MetadataEntry text_entry(std::string_view key, std::string_view text) {
  MetadataEntry entry;
  entry.key = key;
  entry.type = MetadataType::String;
  entry.text = text;
  return entry;
}

MetadataEntry array_entry(std::string_view key, MetadataType element, size_t count) {
  MetadataEntry entry;
  entry.key = key;
  entry.type = MetadataType::Array;
  entry.element = element;
  entry.count = count;
  if (element == MetadataType::String)
    entry.strings.assign(count, "a");
  else
    entry.numbers = std::make_unique<std::byte[]>(count * 8);
  return entry;
}

TEST(HostileVocabulary, ArraysOfTheWrongElementType) {
  const std::pair<const char*, MetadataType> rows[] = {
      {"tokenizer.ggml.scores", MetadataType::U8},
      {"tokenizer.ggml.scores", MetadataType::F64},
      {"tokenizer.ggml.token_type", MetadataType::I8},
      {"tokenizer.ggml.token_type", MetadataType::F32},
      {"tokenizer.ggml.merges", MetadataType::I32},
      {"tokenizer.ggml.tokens", MetadataType::U8}};
  for (const auto& [key, element] : rows) {
    std::vector<MetadataEntry> entries;
    entries.push_back(text_entry("tokenizer.ggml.model", "llama"));
    if (key != std::string_view("tokenizer.ggml.tokens"))
      entries.push_back(array_entry("tokenizer.ggml.tokens", MetadataType::String, 3));
    entries.push_back(array_entry(key, element, 3));
    auto metadata = Metadata::index("test", std::move(entries));
    ASSERT_TRUE(metadata);
    const auto tokenizer = Tokenizer::create(*metadata);
    ASSERT_FALSE(tokenizer) << key;
    EXPECT_EQ(tokenizer.error().code, ErrorCode::BadFile) << key;
    EXPECT_NE(tokenizer.error().text.find(key), std::string::npos) << tokenizer.error().text;
  }
}

TEST(HostileVocabulary, KeysAbsentOrOfTheWrongType) {
  auto nothing = Metadata::index("test", {});
  ASSERT_TRUE(nothing);
  const auto absent = Tokenizer::create(*nothing);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::NotFound);
  std::vector<MetadataEntry> entries;
  entries.push_back(text_entry("tokenizer.ggml.model", "none"));
  entries.push_back(text_entry("tokenizer.ggml.eos_token_id", "2"));
  auto metadata = Metadata::index("test", std::move(entries));
  ASSERT_TRUE(metadata);
  const auto wrong = Tokenizer::create(*metadata);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::BadFile);
  EXPECT_NE(wrong.error().text.find("eos_token_id"), std::string::npos);
}

}  // namespace
}  // namespace pumice::text_tests
