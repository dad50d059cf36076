// Markdown as the window draws it: a flat list of blocks, each with its spans. No drawing here.
// Any text is fine, also half of one: an answer is parsed again while it grows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pumice::chat {

/// Bits of Span::style.
enum Style : uint8_t { kBold = 1, kItalic = 2, kCode = 4, kStrike = 8, kLink = 16 };

struct Span {
  std::string text;  ///< may hold '\n': a line break that was asked for
  uint8_t style = 0;
  std::string target;  ///< of a link
  bool operator==(const Span&) const = default;
};
using Spans = std::vector<Span>;

enum class BlockKind { Paragraph, Heading, Code, Rule, Table };

struct Block {
  BlockKind kind = BlockKind::Paragraph;
  int level = 0;                         ///< of a heading, 1 to 6
  int indent = 0;                        ///< lists that it is in
  int quotes = 0;                        ///< quotations that it is in
  std::string marker;                    ///< in front of the first block of a list item
  std::string language;                  ///< of a code block, as the author named it
  std::string code;                      ///< of a code block, without the last line end
  Spans spans;                           ///< of a paragraph or heading
  std::vector<std::vector<Spans>> rows;  ///< of a table; the first is its heading
};

/// `finished` false: the text still grows, and a mark that is open at its end is taken as closed,
/// so that words do not change their looks with every token.
[[nodiscard]] std::vector<Block> parse_markdown(std::string_view text, bool finished);

}  // namespace pumice::chat
