#include "message_view.h"

#include <algorithm>

namespace pumice::chat {
namespace {

constexpr int kDeepest = 6;     ///< quotes and lists that are drawn as such
constexpr float kGap = 10;      ///< between blocks, in units
constexpr float kTightGap = 3;  ///< between items of a list
constexpr float kIndent = 22;   ///< of a list
constexpr float kQuote = 14;    ///< of a quotation
constexpr float kCodeHead = 26, kCodePad = 12;
constexpr float kCellPad = 10, kCellTop = 5;

Face heading_face(int level) {
  return level == 1 ? Face::Title : level == 2 ? Face::Heading : Face::Bold;
}

}  // namespace

void MessageView::update(Fonts& fonts, const Look& look, const std::string& text, bool finished,
                         bool plain, float width) {
  const float ratio = ImGui::GetIO().FontGlobalScale * fonts.scale();
  const uint32_t side = fonts.texture().side();
  if (size_ == text.size() && width_ == width && unit_ == look.unit && finished_ == finished &&
      ratio_ == ratio && side_ == side)
    return;
  side_ = side;
  size_ = text.size(), width_ = width, unit_ = look.unit, finished_ = finished, ratio_ = ratio;
  blocks_.clear();
  std::vector<Block> blocks;
  if (plain)
    blocks.emplace_back().spans.push_back({text, 0, ""});
  else
    blocks = parse_markdown(text, finished);
  float y = 0;
  width_used_ = 0;
  for (Block& block : blocks) {
    Laid& laid = blocks_.emplace_back();
    laid.block = std::move(block);
    const bool item =
        laid.block.indent > 0 && blocks_.size() > 1 && blocks_[blocks_.size() - 2].block.indent > 0;
    if (blocks_.size() > 1) y += look.px(item ? kTightGap : kGap);
    if (laid.block.kind == BlockKind::Heading && blocks_.size() > 1) y += look.px(6);
    laid.y = y;
    lay(fonts, look, laid, width);
    y += laid.height;
    width_used_ = std::max(width_used_, laid.x + std::max(laid.width, laid.flow.width));
  }
  height_ = y;
}

void MessageView::lay(Fonts& fonts, const Look& look, Laid& laid, float width) {
  const Block& block = laid.block;
  laid.x = look.px(kQuote) * static_cast<float>(std::min(block.quotes, kDeepest)) +
           look.px(kIndent) * static_cast<float>(std::min(block.indent, kDeepest));
  const float room = std::max(look.px(40), width - laid.x);
  if (!block.marker.empty())
    laid.marker = lay_out(fonts, {{block.marker, 0, ""}}, Face::Body, look.px(60));
  switch (block.kind) {
    case BlockKind::Rule:
      laid.height = look.px(9), laid.width = room;
      break;
    case BlockKind::Code:
      laid.flow = lay_out_code(fonts, block.code, room - 2 * look.px(kCodePad));
      laid.height = laid.flow.height + look.px(kCodeHead + kCodePad);
      laid.width = room;
      break;
    case BlockKind::Table:
      laid.width = room;
      lay_table(fonts, look, laid);
      break;
    default:
      laid.flow =
          lay_out(fonts, block.spans,
                  block.kind == BlockKind::Heading ? heading_face(block.level) : Face::Body, room);
      laid.height = laid.flow.height;
  }
}

/// Columns as wide as they wish, or in proportion where that is too much.
void MessageView::lay_table(Fonts& fonts, const Look& look, Laid& laid) {
  const float pad = look.px(kCellPad), top = look.px(kCellTop);
  const auto styled = [&](size_t row, size_t column) {
    Spans spans = laid.block.rows[row][column];
    for (Span& span : spans)
      if (row == 0) span.style |= kBold;
    return spans;
  };
  std::vector<float> wide;
  for (size_t r = 0; r < laid.block.rows.size(); ++r)
    for (size_t c = 0; c < laid.block.rows[r].size(); ++c) {
      if (c >= wide.size()) wide.push_back(look.px(30));
      const Flow natural = lay_out(fonts, styled(r, c), Face::Body, 1e6f);
      wide[c] = std::max(wide[c], natural.width + 2 * pad + 1);
    }
  float sum = 0;
  for (float each : wide) sum += each;
  const float factor = sum > laid.width ? laid.width / sum : 1;
  for (float& each : wide) each *= factor;
  laid.width = std::min(sum, laid.width);
  float y = 0;
  for (size_t r = 0; r < laid.block.rows.size(); ++r) {
    float x = 0, tallest = 0;
    for (size_t c = 0; c < laid.block.rows[r].size(); ++c) {
      Cell& cell = laid.cells.emplace_back();
      cell.flow = lay_out(fonts, styled(r, c), Face::Body, wide[c] - 2 * pad);
      cell.x = x + pad;
      cell.y = y + top;
      x += wide[c];
      tallest = std::max(tallest, cell.flow.height);
    }
    y += tallest + 2 * top;
    laid.rules.push_back(y);
  }
  laid.height = y;
}

bool MessageView::show(Fonts& fonts, const Look& look) {
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  const ImDrawList& list = *ImGui::GetWindowDrawList();
  const float top = list.GetClipRectMin().y, bottom = list.GetClipRectMax().y;
  bool copied = false;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Laid& laid = blocks_[i];
    if (origin.y + laid.y > bottom || origin.y + laid.y + laid.height < top) continue;
    ImGui::PushID(static_cast<int>(i));
    copied = show_block(fonts, look, laid, origin) || copied;
    ImGui::PopID();
  }
  ImGui::SetCursorScreenPos(origin);
  ImGui::Dummy({width_, height_});
  return copied;
}

bool MessageView::show_block(Fonts& fonts, const Look& look, const Laid& laid, ImVec2 origin) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 at = {origin.x + laid.x, origin.y + laid.y};
  const FlowColours ink = {colour(look.text), colour(look.accent), colour(look.code)};
  for (int i = 0; i < std::min(laid.block.quotes, kDeepest); ++i) {
    const float x = origin.x + look.px(kQuote) * static_cast<float>(i) + look.px(2);
    list.AddRectFilled({x, at.y}, {x + look.px(3), at.y + laid.height}, colour(look.line), 2);
  }
  if (!laid.block.marker.empty())
    draw(list, fonts, laid.marker, {at.x - laid.marker.width - look.px(7), at.y},
         {colour(look.quiet), 0, 0});
  if (laid.block.kind == BlockKind::Code) return show_code(fonts, look, laid, at);
  if (laid.block.kind == BlockKind::Rule) {
    const float y = at.y + laid.height / 2;
    list.AddLine({at.x, y}, {at.x + laid.width, y}, colour(look.line));
  }
  for (const Cell& cell : laid.cells)
    draw(list, fonts, cell.flow, {at.x + cell.x, at.y + cell.y}, ink);
  for (size_t i = 0; i + 1 < laid.rules.size(); ++i)
    list.AddLine({at.x, at.y + laid.rules[i]}, {at.x + laid.width, at.y + laid.rules[i]},
                 colour(look.line));
  draw(list, fonts, laid.flow, at, ink);
  const std::string* link = link_at(laid.flow, at, ImGui::GetMousePos());
  if (link && ImGui::IsWindowHovered()) {
    fonts.need(Face::Small, *link);
    FaceScope scope(fonts, Face::Small);
    ImGui::SetTooltip("%s  (click copies it)", link->c_str());
    if (ImGui::IsMouseClicked(ImGuiMouseButton_Left)) ImGui::SetClipboardText(link->c_str());
  }
  return false;
}

bool MessageView::show_code(Fonts& fonts, const Look& look, const Laid& laid, ImVec2 at) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 end = {at.x + laid.width, at.y + laid.height};
  const float head = look.px(kCodeHead), pad = look.px(kCodePad);
  list.AddRectFilled(at, end, colour(look.code), look.px(8));
  list.AddRect(at, end, colour(look.line), look.px(8));
  const std::string& language = laid.block.language.empty() ? "code" : laid.block.language;
  fonts.need(Face::Small, language);
  ImFont* small = fonts.font(Face::Small);
  const float size = small->FontSize * ImGui::GetIO().FontGlobalScale;
  list.AddText(small, size, {at.x + pad, at.y + (head - size) / 2}, colour(look.faint),
               language.data(), language.data() + language.size());
  draw(list, fonts, laid.flow, {at.x + pad, at.y + head}, {colour(look.text), 0, 0});
  ImGui::SetCursorScreenPos({end.x - look.px(52), at.y + look.px(2)});
  if (!button(fonts, look, ButtonKind::Quiet, "Copy")) return false;
  ImGui::SetClipboardText(laid.block.code.c_str());
  return true;
}

}  // namespace pumice::chat
