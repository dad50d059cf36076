#include "markdown.h"

#include <fmt/format.h>
#include <md4c.h>

#include <algorithm>
#include <array>
#include <utility>

#include "utf8.h"

namespace pumice::chat {
namespace {

/// Longer texts are shown as they are: md4c's time is not linear for every input.
constexpr size_t kLongestText = 512 << 10;

std::string attribute_text(const MD_ATTRIBUTE& attribute) {
  return attribute.text ? std::string(attribute.text, attribute.size) : std::string();
}

struct Entity {
  std::string_view name, text;
};
/// Those that people write; others stay as they are.
constexpr Entity kEntities[] = {
    {"&amp;", "&"},         {"&lt;", "<"},        {"&gt;", ">"},         {"&quot;", "\""},
    {"&apos;", "'"},        {"&nbsp;", "\u00A0"}, {"&mdash;", "\u2014"}, {"&ndash;", "\u2013"},
    {"&hellip;", "\u2026"}, {"&copy;", "\u00A9"}, {"&times;", "\u00D7"}, {"&deg;", "\u00B0"},
};

/// "&#65;", "&#x41;" and the named ones above.
std::string entity_text(std::string_view entity) {
  for (const Entity& row : kEntities)
    if (row.name == entity) return std::string(row.text);
  if (entity.size() < 4 || entity[1] != '#') return std::string(entity);
  const bool hex = entity[2] == 'x' || entity[2] == 'X';
  uint32_t code = 0;
  for (char each : entity.substr(hex ? 3 : 2, entity.size() - (hex ? 4 : 3))) {
    const int digit = each <= '9' ? each - '0' : (each | 0x20) - 'a' + 10;
    code = std::min(code * (hex ? 16 : 10) + static_cast<uint32_t>(digit), 0x110000u);
  }
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
  std::string out;
  append_utf8(out, code);
  return out;
}

/// Receives md4c's events.
class Builder {
 public:
  int enter(MD_BLOCKTYPE type, void* detail);
  int leave(MD_BLOCKTYPE type);
  int enter(MD_SPANTYPE type, void* detail);
  int leave(MD_SPANTYPE type);
  int text(MD_TEXTTYPE type, std::string_view text);
  std::vector<Block> take() && { return std::move(blocks_); }

 private:
  struct List {
    bool ordered;
    uint32_t next;
  };

  Block& open(BlockKind kind);
  void close() { open_ = false; }
  void item(const MD_BLOCK_LI_DETAIL& detail);
  Spans& spans();
  void put(std::string_view text);

  std::vector<Block> blocks_;
  bool open_ = false;  ///< text goes to the last block
  int quotes_ = 0;
  std::vector<List> lists_;
  std::string marker_;             ///< of the item whose first block is still to come
  std::array<int, 5> depth_ = {};  ///< of each style's spans
  std::vector<std::string> targets_;
};

Block& Builder::open(BlockKind kind) {
  Block& block = blocks_.emplace_back();
  block.kind = kind;
  block.indent = static_cast<int>(lists_.size());
  block.quotes = quotes_;
  block.marker = std::exchange(marker_, "");
  open_ = true;
  return block;
}

void Builder::item(const MD_BLOCK_LI_DETAIL& detail) {
  if (!marker_.empty()) open(BlockKind::Paragraph);  // the item around has only this list
  close();
  if (lists_.empty()) return;
  List& list = lists_.back();
  if (detail.is_task)
    marker_ = detail.task_mark == ' ' ? "\u2610" : "\u2611";
  else
    marker_ = list.ordered ? fmt::format("{}.", list.next) : "\u2022";
  ++list.next;
}

int Builder::enter(MD_BLOCKTYPE type, void* detail) {
  switch (type) {
    case MD_BLOCK_QUOTE:
      close(), ++quotes_;
      break;
    case MD_BLOCK_UL:
      close(), lists_.push_back({false, 0});
      break;
    case MD_BLOCK_OL:
      close();
      lists_.push_back({true, static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start});
      break;
    case MD_BLOCK_LI:
      item(*static_cast<MD_BLOCK_LI_DETAIL*>(detail));
      break;
    case MD_BLOCK_HR:
      open(BlockKind::Rule), close();
      break;
    case MD_BLOCK_H:
      open(BlockKind::Heading).level =
          static_cast<int>(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level);
      break;
    case MD_BLOCK_CODE:
      open(BlockKind::Code).language =
          attribute_text(static_cast<MD_BLOCK_CODE_DETAIL*>(detail)->lang);
      break;
    case MD_BLOCK_P:
      open(BlockKind::Paragraph);
      break;
    case MD_BLOCK_TABLE:
      open(BlockKind::Table);
      break;
    case MD_BLOCK_TR:
      blocks_.back().rows.emplace_back();
      break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
      blocks_.back().rows.back().emplace_back();
      break;
    default:
      break;
  }
  return 0;
}

int Builder::leave(MD_BLOCKTYPE type) {
  switch (type) {
    case MD_BLOCK_QUOTE:
      close(), --quotes_;
      break;
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
      close(), lists_.pop_back();
      break;
    case MD_BLOCK_LI:
      if (!marker_.empty()) open(BlockKind::Paragraph);  // an empty item
      close();
      break;
    case MD_BLOCK_CODE:
      if (blocks_.back().code.ends_with('\n')) blocks_.back().code.pop_back();
      close();
      break;
    case MD_BLOCK_P:
    case MD_BLOCK_H:
    case MD_BLOCK_TABLE:
      close();
      break;
    default:
      break;
  }
  return 0;
}

/// The bit's number in Style; -1 = nothing that we draw.
int style_of(MD_SPANTYPE type) {
  switch (type) {
    case MD_SPAN_STRONG:
      return 0;
    case MD_SPAN_EM:
      return 1;
    case MD_SPAN_CODE:
      return 2;
    case MD_SPAN_DEL:
      return 3;
    case MD_SPAN_A:
      return 4;
    default:
      return -1;
  }
}

int Builder::enter(MD_SPANTYPE type, void* detail) {
  if (const int style = style_of(type); style >= 0) ++depth_[static_cast<size_t>(style)];
  if (type == MD_SPAN_A)
    targets_.push_back(attribute_text(static_cast<MD_SPAN_A_DETAIL*>(detail)->href));
  return 0;
}

int Builder::leave(MD_SPANTYPE type) {
  if (const int style = style_of(type); style >= 0) --depth_[static_cast<size_t>(style)];
  if (type == MD_SPAN_A && !targets_.empty()) targets_.pop_back();
  return 0;
}

Spans& Builder::spans() {
  if (!open_) open(BlockKind::Paragraph);  // items of a tight list have no paragraphs
  Block& block = blocks_.back();
  if (block.kind == BlockKind::Table && !block.rows.empty() && !block.rows.back().empty())
    return block.rows.back().back();
  return block.spans;
}

void Builder::put(std::string_view text) {
  if (text.empty()) return;
  Span span{std::string(text), 0, targets_.empty() ? std::string() : targets_.back()};
  for (size_t bit = 0; bit < depth_.size(); ++bit)
    if (depth_[bit] > 0) span.style = static_cast<uint8_t>(span.style | (1u << bit));
  Spans& all = spans();
  if (!all.empty() && all.back().style == span.style && all.back().target == span.target)
    all.back().text += span.text;
  else
    all.push_back(std::move(span));
}

int Builder::text(MD_TEXTTYPE type, std::string_view text) {
  switch (type) {
    case MD_TEXT_CODE:
      if (open_ && blocks_.back().kind == BlockKind::Code)
        blocks_.back().code += text;
      else
        put(text);
      break;
    case MD_TEXT_NULLCHAR:
      put("\uFFFD");
      break;
    case MD_TEXT_BR:
      put("\n");
      break;
    case MD_TEXT_SOFTBR:
      put("\n");
      break;  // models break lines where they mean it
    case MD_TEXT_ENTITY:
      put(entity_text(text));
      break;
    default:
      put(text);
  }
  return 0;
}

size_t count(std::string_view text, std::string_view mark) {
  size_t found = 0;
  for (size_t at = text.find(mark); at != std::string_view::npos;
       at = text.find(mark, at + mark.size()))
    ++found;
  return found;
}

/// True where an odd number of fences begin lines: the end is inside a code block.
bool inside_fence(std::string_view text) {
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.starts_with("```") || line.starts_with("~~~")) inside = !inside;
    at = end + 1;
  }
  return inside;
}

/// A growing text with what its end leaves open closed, and marks that mean nothing yet left out.
std::string completed(std::string_view text) {
  if (inside_fence(text)) {
    // the first characters of the closing fence
    const size_t line = text.rfind('\n');
    if (line != std::string_view::npos &&
        text.substr(line + 1).find_first_not_of('`') == std::string_view::npos)
      text = text.substr(0, line);
    return std::string(text);
  }
  // "text\n-" would make a heading of the text, and "1." shows as an item in a moment
  const size_t line = text.rfind('\n') + 1;
  const std::string_view last = text.substr(line);
  if (last.find_first_not_of(" \t-=*_#+>|`~") == std::string_view::npos)
    text = text.substr(0, line);
  const size_t paragraph = text.rfind("\n\n");
  std::string_view open = text.substr(paragraph == std::string_view::npos ? 0 : paragraph);
  std::string out(text);
  if (count(open, "`") % 2 == 1) {
    if (!out.ends_with('`')) return out + "`";
    out.pop_back();
  }
  if (count(out, "`") > 0 && count(open, "`") % 2 == 1) return out;
  while (out.ends_with('*')) out.pop_back();
  open = std::string_view(out).substr(std::min(out.size(), text.size() - open.size()));
  if (count(open, "**") % 2 == 1 && !out.ends_with(' ')) out += "**";
  return out;
}

}  // namespace

std::vector<Block> parse_markdown(std::string_view text, bool finished) {
  Builder builder;
  const std::string whole = finished ? std::string(text) : completed(text);
  MD_PARSER parser = {};
  parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
                 MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_NOHTML;
  parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* user) {
    return static_cast<Builder*>(user)->enter(type, detail);
  };
  parser.leave_block = [](MD_BLOCKTYPE type, void*, void* user) {
    return static_cast<Builder*>(user)->leave(type);
  };
  parser.enter_span = [](MD_SPANTYPE type, void* detail, void* user) {
    return static_cast<Builder*>(user)->enter(type, detail);
  };
  parser.leave_span = [](MD_SPANTYPE type, void*, void* user) {
    return static_cast<Builder*>(user)->leave(type);
  };
  parser.text = [](MD_TEXTTYPE type, const MD_CHAR* bytes, MD_SIZE size, void* user) {
    return static_cast<Builder*>(user)->text(type, {bytes, size});
  };
  if (whole.size() <= kLongestText &&
      md_parse(whole.data(), static_cast<MD_SIZE>(whole.size()), &parser, &builder) == 0)
    return std::move(builder).take();
  Block plain;
  plain.spans.push_back({std::string(text), 0, ""});
  return {plain};
}

}  // namespace pumice::chat
