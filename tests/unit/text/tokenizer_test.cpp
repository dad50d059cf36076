// Rules of the tokenizer on vocabularies small enough to follow by hand.
#include <algorithm>

#include "tests/unit/text/fixtures.h"

namespace pumice::text_tests {
namespace {

using Ids = std::vector<int32_t>;

Tokenizer make(const Vocabulary& vocabulary) {
  auto tokenizer = Tokenizer::create(vocabulary);
  EXPECT_TRUE(tokenizer) << (tokenizer ? "" : tokenizer.error().text);
  return std::move(*tokenizer);
}

/// <unk> <s> </s>, 256 bytes from id 3, then words.
OwnedVocabulary llama_words() {
  OwnedVocabulary v;
  add_llama_head(v);
  const char* words[] = {"\xE2\x96\x81",
                         "a",
                         "b",
                         "ab",
                         "\xE2\x96\x81"
                         "a",
                         "ba"};
  const float scores[] = {-1, -2, -3, -5, -6, -4};
  for (size_t i = 0; i < std::size(words); ++i) v.add(words[i], TokenType::Normal, scores[i]);
  return v;
}
constexpr int32_t kSpace = 259, kA = 260, kB = 261, kAb = 262, kSpaceA = 263, kBa = 264;
constexpr int32_t byte_id(uint8_t byte) {
  return 3 + byte;
}

TEST(SentencePiece, BestScoreFirst) {
  OwnedVocabulary v = llama_words();
  const Tokenizer t = make(v.finish("llama"));
  // " aba": ba (-4) beats ab (-5) beats _a (-6).
  EXPECT_EQ(*t.encode("aba"), (Ids{kSpaceA, kBa}));
  EXPECT_EQ(*t.encode("ab"), (Ids{kSpace, kAb}));
  EXPECT_EQ(*t.encode(""), Ids{});
  EXPECT_EQ(*t.encode(" b"), (Ids{kSpace, kSpace, kB}));
}

TEST(SentencePiece, BytesForWhatHasNoToken) {
  OwnedVocabulary v = llama_words();
  v.vocabulary.add_space_prefix = Tristate::No;
  const Tokenizer t = make(v.finish("llama"));
  EXPECT_EQ(*t.encode("a\n"), (Ids{kA, byte_id('\n')}));
  EXPECT_EQ(*t.encode("é"), (Ids{byte_id(0xC3), byte_id(0xA9)}));
  EXPECT_EQ(*t.encode("\xFF\xC3"), (Ids{byte_id(0xFF), byte_id(0xC3)}));
  EXPECT_EQ(t.decode(*t.encode("é\xFF b")), "é\xFF b");
}

TEST(SentencePiece, UnknownOnceACharacterWithoutByteTokens) {
  OwnedVocabulary v;
  v.add("<unk>", TokenType::Unknown);
  v.add("a");
  v.vocabulary.special.unknown = 0;
  v.vocabulary.add_space_prefix = Tristate::No;
  EXPECT_EQ(*make(v.finish("llama")).encode("aéa"), (Ids{1, 0, 1}));
}

TEST(SentencePiece, ErrorWhereNothingFits) {
  OwnedVocabulary v;
  v.add("a");
  v.vocabulary.add_space_prefix = Tristate::No;
  const auto ids = make(v.finish("llama")).encode("b");
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::Unsupported);
  EXPECT_NE(ids.error().text.find("0x62"), std::string::npos) << ids.error().text;
}

TEST(SentencePiece, ControlTokensOnlyFromTemplateText) {
  OwnedVocabulary v = llama_words();
  const Tokenizer t = make(v.finish("llama"));
  EXPECT_EQ(t.bos(), 1);  // customary ids, confirmed by the texts
  EXPECT_EQ(t.eos(), 2);
  EXPECT_TRUE(t.is_end_of_generation(2));
  EXPECT_EQ(*t.encode("a</s>a", {.parse_special = true}), (Ids{kSpaceA, 2, kSpaceA}));
  const auto plain = *t.encode("a</s>a");
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 2), 0);
  EXPECT_EQ(*t.encode("a", {.add_bos = true, .add_eos = true}), (Ids{1, kSpaceA}));
}

TEST(SentencePiece, AControlTokenThatMergesCouldSpell) {
  OwnedVocabulary v = llama_words();
  v.add("bb", TokenType::Control);
  v.vocabulary.add_space_prefix = Tristate::No;
  EXPECT_EQ(*make(v.finish("llama")).encode("bb"), (Ids{kB, kB}));
}

TEST(SentencePiece, UserDefinedTokensAnywhereLongestFirst) {
  OwnedVocabulary v = llama_words();
  v.add("\n", TokenType::UserDefined);
  v.add("\n\n", TokenType::UserDefined);
  v.add("<b>", TokenType::UserDefined);
  v.vocabulary.add_space_prefix = Tristate::No;
  const Tokenizer t = make(v.finish("llama"));
  EXPECT_EQ(*t.encode("a\n\n\nb<b>"), (Ids{kA, 266, 265, kB, 267}));
  EXPECT_EQ(t.decode(*t.encode("a\n\n\nb<b>")), "a\n\n\nb<b>");
}

/// 256 bytes, then "aa", "aaa" and a control token.
OwnedVocabulary bpe_words() {
  OwnedVocabulary v;
  add_byte_characters(v);
  v.add("aa");
  v.add("aaa");
  v.add("<|stop|>", TokenType::Control);
  v.merge_texts = {"a a", "aa a"};
  v.vocabulary.pre_tokenizer = "gpt-2";
  return v;
}

int32_t byte_level_id(const Tokenizer& t, char c) {
  return (*t.encode(std::string(1, c)))[0];
}

TEST(ByteLevelBpe, MergesInListedOrder) {
  OwnedVocabulary v = bpe_words();
  const Tokenizer t = make(v.finish("gpt2"));
  EXPECT_EQ(*t.encode("aaa"), (Ids{257}));
  EXPECT_EQ(*t.encode("aaaa"), (Ids{256, 256}));  // both "a a" before "aa a"
  EXPECT_EQ(*t.encode("aaaaa"), (Ids{256, 257}));
  const Ids many = *t.encode(std::string(64, 'a'));  // the long path gives the same
  EXPECT_EQ(many, Ids(32, 256));
  EXPECT_EQ(t.decode(*t.encode("\x80\xFE\x01 é")), "\x80\xFE\x01 é");
  EXPECT_EQ(byte_level_id(t, '\xFF'), (*t.encode("\xFF"))[0]);
  EXPECT_FALSE(t.adds_bos());
}

TEST(ByteLevelBpe, WholeWordsSkipMergingWhereTheRulesSaySo) {
  OwnedVocabulary v = bpe_words();
  v.add("xyz");  // no merge leads there
  const Ids merged = *make(v.finish("gpt2")).encode("xyz");
  EXPECT_EQ(merged.size(), 3u);
  v.vocabulary.pre_tokenizer = "llama-bpe";
  EXPECT_EQ(*make(v.finish("gpt2")).encode("xyz"), (Ids{259}));
}

TEST(ByteLevelBpe, MergesMayPassThroughTextsWithoutToken) {
  OwnedVocabulary v;
  add_byte_characters(v);
  v.add("abc");
  v.merge_texts = {"a b", "ab c"};
  v.vocabulary.pre_tokenizer = "gpt-2";
  const Tokenizer t = make(v.finish("gpt2"));
  EXPECT_EQ(*t.encode("abc"), (Ids{256}));
  EXPECT_EQ(t.decode(*t.encode("abab")), "abab");
  EXPECT_EQ(t.encode("ab")->size(), 2u);
}

TEST(ByteLevelBpe, AControlTokenThatMergesCouldSpell) {
  OwnedVocabulary v = bpe_words();
  v.add("bb", TokenType::Control);
  v.merge_texts.push_back("b b");
  const Tokenizer t = make(v.finish("gpt2"));
  EXPECT_EQ(t.encode("bb")->size(), 2u);
  EXPECT_EQ(t.encode("bb", {.parse_special = true})->size(), 1u);
  v.vocabulary.pre_tokenizer = "llama-bpe";
  EXPECT_EQ(make(v.finish("gpt2")).encode("bb")->size(), 2u);
}

TEST(ByteLevelBpe, WellKnownMarksAreControlWhateverTheirType) {
  OwnedVocabulary v = bpe_words();
  v.add("<|im_start|>", TokenType::UserDefined);
  v.add("<|im_end|>", TokenType::Normal);
  const Tokenizer t = make(v.finish("gpt2"));
  EXPECT_EQ(t.find_control("<|im_end|>"), 260);
  EXPECT_TRUE(t.is_end_of_generation(260));
  EXPECT_EQ(t.end_of_turn(), 260);
  const Ids plain = *t.encode("<|im_start|>system<|im_end|>");
  for (const int32_t id : plain) EXPECT_LT(id, 259);
  EXPECT_EQ(t.find_control("<|im_en"), -1);
  EXPECT_EQ(t.find_control("a"), -1);
}

TEST(Tokenizer, PartsReadAsOneText) {
  OwnedVocabulary v = bpe_words();
  const Tokenizer t = make(v.finish("gpt2"));
  const TextPart parts[] = {{"a", false}, {"a", true}, {"<|stop|>", false}, {"<|stop|>", true}};
  const Ids ids = *t.encode_parts(parts, true, true);
  EXPECT_EQ(ids.front(), 256);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 258), 1);
  EXPECT_EQ(ids.back(), 258);
  // A control token cannot be put together from template and user text.
  const TextPart halves[] = {{"<|st", true}, {"op|>", false}};
  const Ids split = *t.encode_parts(halves, false, false);
  EXPECT_EQ(std::count(split.begin(), split.end(), 258), 0);
}

TEST(Tokenizer, IdsWithoutTexts) {
  OwnedVocabulary v;
  v.vocabulary.n_without_tokens = 7;
  const Tokenizer none = make(v.finish("none"));
  EXPECT_EQ(none.n_vocab(), 7);
  EXPECT_FALSE(none.has_text());
  const auto ids = none.encode("a");
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::Unsupported);
  EXPECT_NE(ids.error().text.find("token ids"), std::string::npos);
  v.add("tok_0");
  const Tokenizer test = make(v.finish("test"));
  EXPECT_EQ(test.n_vocab(), 1);
  EXPECT_EQ(test.piece(0), "tok_0");
  EXPECT_EQ(test.piece(1), "");
  EXPECT_EQ(test.piece(-1), "");
}

TEST(Tokenizer, OutlivesTheVocabulary) {
  auto v = std::make_unique<OwnedVocabulary>(bpe_words());
  const Tokenizer t = make(v->finish("gpt2"));
  const Ids before = *t.encode("aaa b");
  v.reset();
  EXPECT_EQ(*t.encode("aaa b"), before);
  EXPECT_EQ(t.decode(before), "aaa b");
}

}  // namespace
}  // namespace pumice::text_tests
