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

}  // namespace
}  // namespace pumice::text
