#include "engine/text/unicode.h"

#include <gtest/gtest.h>

namespace pumice::text {
namespace {

TEST(FoldCase, LettersOfBothCasesAreOne) {
  struct Row {
    const char* text;
    const char* folded;
  };
  const Row rows[] = {
      {"", ""},
      {"Q4_K or q6_k?", "q4_k or q6_k?"},
      {"ÄÖÜ É Ж", "äöü é ж"},
      {"ΣΟΦΟΣ σοφος", "σοφοσ σοφοσ"},
      {"σοφος", "σοφοσ"},  // the final sigma is a sigma
      {"a\xFF\xC3Z", "a\xFF\xC3z"},
      {"日本 1/2", "日本 1/2"},
  };
  for (const Row& row : rows) EXPECT_EQ(fold_case(row.text), row.folded) << row.text;
}

TEST(ValidUtf8, EndsAtTheFirstByteThatIsNoCharacter) {
  struct Row {
    std::string_view text;
    size_t valid;
  };
  const Row rows[] = {
      {"", 0},         {"abc", 3},        {"a\xC3\xA9\xE4\xB8\x96", 6},
      {"a\xC3(", 1},   {"ab\xE4\xB8", 2}, {"\xED\xA0\x80", 0},
      {"\xC0\x80", 0},
  };
  for (const Row& row : rows) EXPECT_EQ(valid_utf8(row.text), row.valid) << row.text;
}

}  // namespace
}  // namespace pumice::text
