// Owns the quant-type table and the names of the types that files may hold but we do not read.
#include "loader/quant_type.h"

#include <array>
#include <cassert>

namespace pumice {
namespace {

using enum QuantType;

constexpr QuantTypeInfo kTypes[] = {
    // type, name, weights per block, bytes per block, has_codec
    {F32, "f32", 1, 4, true},           {F16, "f16", 1, 2, true},
    {Q4_0, "q4_0", 32, 18, true},       {Q4_1, "q4_1", 32, 20, true},
    {Q5_0, "q5_0", 32, 22, true},       {Q5_1, "q5_1", 32, 24, true},
    {Q8_0, "q8_0", 32, 34, true},       {Q2_K, "q2_k", 256, 84, true},
    {Q3_K, "q3_k", 256, 110, true},     {Q4_K, "q4_k", 256, 144, true},
    {Q5_K, "q5_k", 256, 176, true},     {Q6_K, "q6_k", 256, 210, true},
    {IQ4_NL, "iq4_nl", 32, 18, true},   {IQ3_S, "iq3_s", 256, 110, false},
    {IQ4_XS, "iq4_xs", 256, 136, true}, {BF16, "bf16", 1, 2, true},
    {TQ1_0, "tq1_0", 256, 54, true},    {TQ2_0, "tq2_0", 256, 66, true},
    {MXFP4, "mxfp4", 32, 17, true},     {Q1_0, "q1_0", 128, 18, true},
    {Q2_0, "q2_0", 64, 18, true},
};

constexpr uint32_t kIdCount = 43;  // ids that the format had given out when this was written

/// Position in kTypes per id; 0xFF where the table has no row.
constexpr auto kRowOfId = [] {
  std::array<uint8_t, kIdCount> rows{};
  rows.fill(0xFF);
  for (uint8_t row = 0; row < std::size(kTypes); ++row) rows[uint32_t(kTypes[row].type)] = row;
  return rows;
}();

struct OtherName {
  uint32_t id;
  std::string_view name;
};

/// Ids of the format without a row above. "removed" ones are refused by every current reader.
constexpr OtherName kOtherNames[] = {
    {4, "q4_2 (removed)"},
    {5, "q4_3 (removed)"},
    {9, "q8_1"},
    {15, "q8_k"},
    {16, "iq2_xxs"},
    {17, "iq2_xs"},
    {18, "iq3_xxs"},
    {19, "iq1_s"},
    {22, "iq2_s"},
    {24, "i8"},
    {25, "i16"},
    {26, "i32"},
    {27, "i64"},
    {28, "f64"},
    {29, "iq1_m"},
    {31, "q4_0_4_4 (removed)"},
    {32, "q4_0_4_8 (removed)"},
    {33, "q4_0_8_8 (removed)"},
    {36, "iq4_nl_4_4 (removed)"},
    {37, "iq4_nl_4_8 (removed)"},
    {38, "iq4_nl_8_8 (removed)"},
    {40, "nvfp4"},
    // Ids of the ik_llama.cpp fork, which files on the net carry too.
    {133, "q6_0 (ik)"},
    {137, "iq2_k (ik)"},
    {138, "iq3_k (ik)"},
    {139, "iq4_k (ik)"},
    {140, "iq5_k (ik)"},
    {141, "iq6_k (ik)"},
    {144, "iq4_ks (ik)"},
    {145, "iq2_ks (ik)"},
    {146, "iq4_kss (ik)"},
    {151, "q8_kv (ik)"},
    {152, "iq5_ks (ik)"},
    {153, "iq2_kt (ik)"},
    {154, "iq3_kt (ik)"},
    {155, "iq4_kt (ik)"},
    {156, "iq3_ks (ik)"},
    {157, "iq2_kl (ik)"},
    {158, "iq1_kt (ik)"},
};

}  // namespace

std::span<const QuantTypeInfo> quant_types() {
  return kTypes;
}

const QuantTypeInfo* find_quant_type(uint32_t gguf_id) {
  if (gguf_id >= kIdCount || kRowOfId[gguf_id] == 0xFF) return nullptr;
  return &kTypes[kRowOfId[gguf_id]];
}

const QuantTypeInfo& info(QuantType type) {
  const QuantTypeInfo* row = find_quant_type(uint32_t(type));
  assert(row != nullptr);
  return *row;
}

std::string_view gguf_type_name(uint32_t gguf_id) {
  if (const QuantTypeInfo* row = find_quant_type(gguf_id)) return row->name;
  for (const OtherName& other : kOtherNames)
    if (other.id == gguf_id) return other.name;
  return {};
}

std::string supported_quant_types() {
  std::string list;
  for (const QuantTypeInfo& row : kTypes) {
    if (!row.has_codec) continue;
    if (!list.empty()) list += ", ";
    list += row.name;
  }
  return list;
}

}  // namespace pumice
