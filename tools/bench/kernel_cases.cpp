// Tables of rows, turned into cases.
#include "tools/bench/kernel_cases.h"

#include "tests/rows/attention_rows.h"
#include "tests/rows/matrix_rows.h"
#include "tests/rows/op_rows.h"

namespace pumice::bench {
namespace {

using namespace test;

constexpr uint32_t kModelWidth = 4096;
constexpr uint32_t kTileColumns = 16;  ///< from here on the policy picks tiles

KernelCase matrix_row(QuantType type, const MatrixTier& tier, Epilogue epilogue, uint32_t k) {
  const std::string type_name(info(type).name);
  const uint32_t m = epilogue.rows.front();
  KernelCase row;
  row.name = fmt::format("matrix {}x{}x{} {}, {}{}{}", m, epilogue.columns, k, type_name,
                         tier.tier.name, *epilogue.name != 0 ? ": " : "", epilogue.name);
  row.type = type_name;
  row.tier = tier.tier.name;
  row.make = [type, tier, epilogue = std::move(epilogue), k, name = row.name] {
    const auto file = matrix_weights(type, std::span(&k, 1), std::span(&epilogue, 1));
    Case made = matrix_case({type, k, epilogue}, tier, file);
    made.name = name;
    return made;
  };
  return row;
}

/// The tests' epilogues on matrices as models have them, or one plain product.
std::vector<Epilogue> epilogues_for(const std::optional<MatrixSize>& size) {
  if (size) return {{"", size->n, {size->m}}};
  std::vector<Epilogue> all(epilogues().begin(), epilogues().end());
  for (Epilogue& epilogue : all)
    for (uint32_t& rows : epilogue.rows) rows = kModelWidth;
  return all;
}

void add_matrices(const Capabilities& caps, const std::optional<MatrixSize>& size,
                  std::vector<KernelCase>& cases) {
  const uint32_t k = size ? size->k : kModelWidth;
  for (const WeightLayout& layout : weight_layouts())
    for (const MatrixTier& tier : matrix_tiers()) {
      if (k % info(layout.type).block_weights != 0 || !is_runnable(tier, caps)) continue;
      if (is_int8(tier) && !layout.has_int8_path) continue;
      for (Epilogue& epilogue : epilogues_for(size))
        if (!is_tile(tier) || epilogue.columns >= kTileColumns)
          cases.push_back(matrix_row(layout.type, tier, std::move(epilogue), k));
    }
}

/// Heads as the tests have them, and as models do.
void add_attention(std::vector<KernelCase>& cases) {
  static const AttentionRow kModel{"32 heads of 128, 8 key heads", 32, 8, 128, 128, 128,
                                   graph::RopePairs::Halves};
  static constexpr Tier kTiers[] = {{.name = "default"},
                                    {.name = "as a GPU", .without = {.texel = true}, .gpu = true}};
  std::vector<AttentionRow> rows(attention_rows().begin(), attention_rows().end());
  rows.push_back(kModel);
  for (const AttentionRow& row : rows)
    for (Tier tier : kTiers)
      for (const CacheType cache : {CacheType::F32, CacheType::F16})
        for (const auto& [depth, columns] : {std::pair{512u, 1u}, {4096u, 1u}, {512u, 32u}}) {
          tier.cache = cache;
          const std::string name =
              fmt::format("attention {}, {}, {} cache, {} tokens at {}", row.name, tier.name,
                          describe(tier.cache), columns, depth);
          cases.push_back({name, cache_type_name(cache), tier.name,
                           [row, tier, depth = depth, columns = columns, name] {
                             Case made = attention_case(row, tier, depth, columns);
                             made.name = name;
                             return made;
                           }});
        }
}

void add_ops(std::vector<KernelCase>& cases) {
  static constexpr Tier kTiers[] = {{.name = "default"},
                                    {.name = "storage buffers", .without = {.texel = true}}};
  std::vector<OpRow> rows = small_rows();
  for (OpRow& row : expert_rows()) rows.push_back(std::move(row));
  for (const OpRow& row : rows)
    for (const Tier& tier : kTiers) {
      const std::string name = fmt::format("op {}, {}", row.name, tier.name);
      cases.push_back({name, "", tier.name, [row, tier, name] {
                         Case made = op_case(row, tier);
                         made.name = name;
                         return made;
                       }});
    }
}

}  // namespace

std::vector<KernelCase> kernel_cases(const Capabilities& caps,
                                     const std::optional<MatrixSize>& size) {
  std::vector<KernelCase> cases;
  add_matrices(caps, size, cases);
  if (size) return cases;
  add_attention(cases);
  add_ops(cases);
  return cases;
}

}  // namespace pumice::bench
