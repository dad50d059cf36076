#include "look.h"

#include <fmt/format.h>

namespace pumice::chat {
namespace {

ImVec4 rgb(uint32_t hex) {
  return {static_cast<float>(hex >> 16 & 255) / 255, static_cast<float>(hex >> 8 & 255) / 255,
          static_cast<float>(hex & 255) / 255, 1};
}

struct ColourRow {
  ImVec4 Look::*of;
  uint32_t light, dark;
};

/// Volcanic greys, and the warm orange of what they once were.
constexpr ColourRow kColours[] = {
    {&Look::page, 0xFBFAF8, 0x1B1C1F},      {&Look::pane, 0xF3F1EE, 0x151618},
    {&Look::card, 0xFFFFFF, 0x232529},      {&Look::line, 0xE2DED9, 0x33363B},
    {&Look::text, 0x26241F, 0xE4E2DD},      {&Look::quiet, 0x77726A, 0x9A9790},
    {&Look::faint, 0xA8A39B, 0x66645F},     {&Look::accent, 0xC2562A, 0xE07A4B},
    {&Look::on_accent, 0xFFFFFF, 0x1B1C1F}, {&Look::mine, 0xF0E9E2, 0x2B2D32},
    {&Look::code, 0xF4F2EE, 0x131416},      {&Look::warn, 0x9A6B00, 0xE3B341},
    {&Look::error, 0xB3261E, 0xF28B82},
};

struct StyleRow {
  ImGuiCol of;
  ImVec4 Look::*colour;
  float alpha;
};

constexpr StyleRow kStyles[] = {
    {ImGuiCol_Text, &Look::text, 1},
    {ImGuiCol_TextDisabled, &Look::faint, 1},
    {ImGuiCol_WindowBg, &Look::page, 1},
    {ImGuiCol_ChildBg, &Look::page, 0},
    {ImGuiCol_PopupBg, &Look::card, 1},
    {ImGuiCol_Border, &Look::line, 1},
    {ImGuiCol_FrameBg, &Look::card, 1},
    {ImGuiCol_FrameBgHovered, &Look::card, 1},
    {ImGuiCol_FrameBgActive, &Look::card, 1},
    {ImGuiCol_ScrollbarBg, &Look::page, 0},
    {ImGuiCol_ScrollbarGrab, &Look::line, 1},
    {ImGuiCol_ScrollbarGrabHovered, &Look::faint, 1},
    {ImGuiCol_ScrollbarGrabActive, &Look::faint, 1},
    {ImGuiCol_CheckMark, &Look::accent, 1},
    {ImGuiCol_SliderGrab, &Look::accent, 1},
    {ImGuiCol_SliderGrabActive, &Look::accent, 1},
    {ImGuiCol_Button, &Look::card, 1},
    {ImGuiCol_ButtonHovered, &Look::mine, 1},
    {ImGuiCol_ButtonActive, &Look::line, 1},
    {ImGuiCol_Header, &Look::mine, 1},
    {ImGuiCol_HeaderHovered, &Look::mine, 1},
    {ImGuiCol_HeaderActive, &Look::line, 1},
    {ImGuiCol_Separator, &Look::line, 1},
    {ImGuiCol_TextSelectedBg, &Look::accent, 0.35f},
    {ImGuiCol_PlotHistogram, &Look::accent, 1},
    {ImGuiCol_NavHighlight, &Look::accent, 0.6f},
    {ImGuiCol_ModalWindowDimBg, &Look::pane, 0.7f},
};

}  // namespace

Look make_look(bool dark, float unit) {
  Look look;
  look.dark = dark;
  look.unit = unit;
  for (const ColourRow& row : kColours) look.*row.of = rgb(dark ? row.dark : row.light);
  return look;
}

void apply_style(const Look& look) {
  ImGuiStyle style;
  for (const StyleRow& row : kStyles) style.Colors[row.of] = faded(look.*row.colour, row.alpha);
  style.WindowPadding = {look.px(16), look.px(14)};
  style.FramePadding = {look.px(10), look.px(5)};
  style.ItemSpacing = {look.px(8), look.px(8)};
  style.ItemInnerSpacing = {look.px(6), look.px(6)};
  style.ScrollbarSize = look.px(10);
  style.GrabMinSize = look.px(12);
  style.FrameRounding = style.GrabRounding = look.px(7);
  style.PopupRounding = style.ChildRounding = look.px(9);
  style.ScrollbarRounding = look.px(5);
  style.WindowBorderSize = 0;
  style.FrameBorderSize = 1;
  style.AntiAliasedLinesUseTex = false;  // the atlas has glyphs only
  ImGui::GetStyle() = style;
}

ImU32 colour(const ImVec4& of) {
  return ImGui::ColorConvertFloat4ToU32(of);
}

ImVec4 faded(ImVec4 of, float alpha) {
  of.w *= alpha;
  return of;
}

void label(Fonts& fonts, Face face, const ImVec4& tint, std::string_view text) {
  fonts.need(face, text);
  FaceScope scope(fonts, face);
  ImGui::PushStyleColor(ImGuiCol_Text, tint);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopStyleColor();
}

void paragraph(Fonts& fonts, Face face, const ImVec4& tint, std::string_view text) {
  ImGui::PushTextWrapPos(0);
  label(fonts, face, tint, text);
  ImGui::PopTextWrapPos();
}

std::string shortened(Fonts& fonts, Face face, std::string_view text, float width) {
  fonts.need(face, text);
  const ImFont* font = fonts.font(face);
  const float size = font->FontSize * ImGui::GetIO().FontGlobalScale;
  const auto wide = [&](std::string_view part) {
    return font->CalcTextSizeA(size, FLT_MAX, 0, part.data(), part.data() + part.size()).x;
  };
  if (wide(text) <= width) return std::string(text);
  const char* end = text.data();
  font->CalcTextSizeA(size, std::max(1.0f, width - wide("\u2026")), 0, text.data(),
                      text.data() + text.size(), &end);
  return std::string(text.data(), end) + "\u2026";
}

void begin_pane(const Look& look, const char* name, ImVec2 size, float side) {
  ImGui::PushStyleColor(ImGuiCol_ChildBg, look.pane);
  ImGui::PushStyleVar(ImGuiStyleVar_ChildRounding, 0.0f);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(look.px(side), look.px(12)));
  ImGui::BeginChild(name, size, false, ImGuiWindowFlags_AlwaysUseWindowPadding);
  ImGui::PopStyleVar(2);
}

void end_pane() {
  ImGui::EndChild();
  ImGui::PopStyleColor();
}

bool button(Fonts& fonts, const Look& look, ButtonKind kind, const char* text, float width) {
  const Face face = kind == ButtonKind::Quiet ? Face::Small : Face::Body;
  fonts.need(face, text);
  FaceScope scope(fonts, face);
  const bool strong = kind == ButtonKind::Strong, quiet = kind == ButtonKind::Quiet;
  ImGui::PushStyleColor(ImGuiCol_Button, strong  ? look.accent
                                         : quiet ? faded(look.card, 0)
                                                 : look.card);
  ImGui::PushStyleColor(ImGuiCol_ButtonHovered, strong ? faded(look.accent, 0.88f) : look.mine);
  ImGui::PushStyleColor(ImGuiCol_Text, strong ? look.on_accent : quiet ? look.quiet : look.text);
  ImGui::PushStyleVar(ImGuiStyleVar_FrameBorderSize, kind == ButtonKind::Normal ? 1.0f : 0.0f);
  if (quiet) ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, ImVec2(look.px(7), look.px(2)));
  const bool pressed = ImGui::Button(text, ImVec2(width, 0));
  ImGui::PopStyleVar(quiet ? 2 : 1);
  ImGui::PopStyleColor(3);
  return pressed;
}

float button_width(Fonts& fonts, const Look& look, const char* text) {
  FaceScope scope(fonts, Face::Body);
  return ImGui::CalcTextSize(text, nullptr, true).x + look.px(20);
}

std::string bytes_text(uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  return mib < 1000 ? fmt::format("{:.3g} MiB", mib) : fmt::format("{:.3g} GiB", mib / 1024);
}

}  // namespace pumice::chat
