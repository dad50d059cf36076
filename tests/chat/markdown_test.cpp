// Markdown to blocks: what the window draws of whole, half and hostile texts.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "demo/chat/markdown.h"

namespace pumice::chat {
namespace {

/// One line per block: quotes, indent, marker, kind; spans with their styles in front.
std::string sketch(const Spans& spans) {
  std::string out;
  for (const Span& span : spans) {
    for (auto [bit, mark] :
         {std::pair{kBold, 'b'}, {kItalic, 'i'}, {kCode, 'c'}, {kStrike, 's'}, {kLink, 'l'}})
      if (span.style & bit) out += mark;
    out += "[" + span.text + "]";
    if (!span.target.empty()) out += "(" + span.target + ")";
  }
  return out;
}

std::string sketch(const std::vector<Block>& blocks) {
  std::string out;
  for (const Block& block : blocks) {
    out += std::string(static_cast<size_t>(block.quotes), '>');
    out += std::string(static_cast<size_t>(block.indent), ' ');
    if (!block.marker.empty()) out += block.marker + " ";
    if (block.kind == BlockKind::Heading) out += "H" + std::to_string(block.level) + " ";
    if (block.kind == BlockKind::Rule) out += "----";
    if (block.kind == BlockKind::Code) out += "code(" + block.language + "){" + block.code + "}";
    for (const auto& row : block.rows) {
      for (const Spans& cell : row) out += "|" + sketch(cell);
      out += "| ";
    }
    out += sketch(block.spans) + "\n";
  }
  return out;
}

struct Row {
  const char* text;
  const char* blocks;
};

TEST(Markdown, WholeTexts) {
  const Row rows[] = {
      {"", ""},
      {"one\n\ntwo", "[one]\n[two]\n"},
      {"line\nnext", "[line\nnext]\n"},
      {"# Title\ntext", "H1 [Title]\n[text]\n"},
      {"a **b** *c* `d` ~~e~~", "[a ]b[b][ ]i[c][ ]c[d][ ]s[e]\n"},
      {"***x***", "bi[x]\n"},
      {"[t](http://x.org)", "l[t](http://x.org)\n"},
      {"see http://x.org now", "[see ]l[http://x.org](http://x.org)[ now]\n"},
      {"- a\n- b\n  - c", " \u2022 [a]\n \u2022 [b]\n  \u2022 [c]\n"},
      {"3. a\n4. b", " 3. [a]\n 4. [b]\n"},
      {"- [ ] a\n- [x] b", " \u2610 [a]\n \u2611 [b]\n"},
      {"- a\n\n  more\n- b", " \u2022 [a]\n [more]\n \u2022 [b]\n"},
      {"> q\n> > r", ">[q]\n>>[r]\n"},
      {"```cpp\nint x;\n\nint y;\n```\nend", "code(cpp){int x;\n\nint y;}\n[end]\n"},
      {"- a\n  ```\n  code\n  ```", " \u2022 [a]\n code(){code}\n"},
      {"a\n\n---\n\nb", "[a]\n----\n[b]\n"},
      {"|a|b|\n|---|---|\n|1|**2**|", "|[a]|[b]| |[1]|b[2]| \n"},
      {"&lt;&amp;&#65;&#x42;&unknown;&#0;", "[<&AB&unknown;\uFFFD]\n"},
      {"<b>not html</b>", "[<b>not html</b>]\n"},
  };
  for (const Row& row : rows) EXPECT_EQ(sketch(parse_markdown(row.text, true)), row.blocks);
}

TEST(Markdown, HalfTextsLookLikeWhatTheyBecome) {
  const Row rows[] = {
      {"a **bo", "[a ]b[bo]\n"},
      {"a **bold*", "[a ]b[bold]\n"},
      {"a **", "[a]\n"},
      {"a `co", "[a ]c[co]\n"},
      {"text\n-", "[text]\n"},
      {"text\n--", "[text]\n"},
      {"text\n\n##", "[text]\n"},
      {"```py\nprint(", "code(py){print(}\n"},
      {"```py\nprint()\n``", "code(py){print()}\n"},
      {"- one\n-", " \u2022 [one]\n"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(sketch(parse_markdown(row.text, false)), row.blocks) << row.text;
}

/// Text that a reader sees; marks left out.
size_t visible(const std::vector<Block>& blocks) {
  size_t bytes = 0;
  for (const Block& block : blocks) {
    bytes += block.code.size();
    for (const Span& span : block.spans) bytes += span.text.size();
    for (const auto& row : block.rows)
      for (const Spans& cell : row)
        for (const Span& span : cell) bytes += span.text.size();
  }
  return bytes;
}

TEST(Markdown, AGrowingAnswerNeverLosesWhatWasRead) {
  const std::string answer =
      "## Why\n\nPumice is **full of holes**, so `density` < 1:\n\n1. gas\n2. glass *foam*\n\n"
      "```c\nint main(void) { return 0; }\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd.";
  size_t before = 0;
  for (size_t size = 0; size <= answer.size(); ++size) {
    const size_t now = visible(parse_markdown(answer.substr(0, size), size == answer.size()));
    EXPECT_GE(now + 24, before) << size;  // a table's rule and a mark's characters may go
    before = now;
  }
}

TEST(Markdown, HostileTextsEnd) {
  std::mt19937 random(7);
  const std::string letters = "ab *_`~#>-+=|[]()!<&;:\\\n\n\t 1.\xC3\xA9\xFF";
  for (int i = 0; i < 1500; ++i) {
    std::string text;
    for (size_t n = random() % 200; n > 0; --n) text += letters[random() % letters.size()];
    (void)parse_markdown(text, i % 2 == 0);
  }
  for (const char* piece : {"> ", "- ", "[", "*a", "`", "| ", "<", "![", "**a** "}) {
    std::string text;
    while (text.size() < 20000) text += piece;
    (void)parse_markdown(text, true);
    (void)parse_markdown(text, false);
  }
  const std::string large(1 << 20, '*');
  EXPECT_EQ(visible(parse_markdown(large, true)), large.size());
  EXPECT_EQ(visible(parse_markdown(std::string_view("a\0b", 3), true)), 5u);
}

}  // namespace
}  // namespace pumice::chat
