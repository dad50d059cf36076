// Word by word, element by element.
#include "tests/gpu/cache_pages.h"

#include "engine/base/half.h"
#include "shaders/shared/push.h"

namespace pumice::test {
namespace {

/// One head of one position: where its 16-byte units and its scales lie.
struct StoredHead {
  std::span<const uint32_t> page;
  CacheType type;
  CacheSide side;
  uint32_t first, scales, head, width, position;

  [[nodiscard]] uint32_t word(uint32_t element) const {
    const uint32_t per_unit = 4u << uint32_t(type), per_word = per_unit / 4;
    const uint32_t units = width / per_unit, unit = element / per_unit;
    const uint32_t at =
        side == CacheSide::K
            ? ((head * PUMICE_PAGE / 8 + position / 8) * units + unit) * 8 + position % 8
            : (head * PUMICE_PAGE + position) * units + unit;
    return page[first + at * 4 + element % per_unit / per_word];
  }
  [[nodiscard]] double scale(uint32_t element) const {
    const uint32_t pairs = (width + 63) / 64;
    const uint32_t at =
        ((head * PUMICE_PAGE / 8 + position / 8) * pairs + element / 64) * 8 + position % 8;
    return double(half_to_float(uint16_t(page[scales + at] >> (element % 64 / 32 * 16))));
  }
  [[nodiscard]] double element(uint32_t e) const {
    const uint32_t bits = word(e);
    if (type == CacheType::F32) return double(std::bit_cast<float>(bits));
    if (type == CacheType::F16) return double(half_to_float(uint16_t(bits >> (e % 2 * 16))));
    if (type == CacheType::Q8_0) return scale(e) * double(int8_t(bits >> (e % 4 * 8)));
    const uint32_t nibble = bits >> (e % 4 * 8 + e % 8 / 4 * 4) & 15u;
    return scale(e) * (double(nibble ^ 8u) - 8.0);
  }
};

}  // namespace

std::vector<double> stored_heads(GraphRunner& runner, CacheSide side,
                                 const reference::Place& place) {
  const ModelPlan& plan = runner.plan();
  const graph::CacheLayer& layer = plan.graph.layers[0];
  const CachePlan& cache = plan.caches[0];
  const uint32_t entry = place.sequence * plan.layout.page_stride + place.position / PUMICE_PAGE;
  const uint32_t page = runner.words(plan.step)[plan.layout.pages + entry];
  const bool is_k = side == CacheSide::K;
  StoredHead head{
      .page = runner.words(cache.slice).subspan(size_t(page) * cache.page_words, cache.page_words),
      .type = is_k ? plan.policy.cache.k : plan.policy.cache.v,
      .side = side,
      .first = is_k ? 0 : cache.v_at,
      .scales = is_k ? cache.k_scales_at : cache.v_scales_at,
      .head = 0,
      .width = is_k ? layer.head_k : layer.head_v,
      .position = place.position % PUMICE_PAGE};
  std::vector<double> all;
  for (; head.head < layer.kv_heads; ++head.head)
    for (uint32_t e = 0; e < head.width; ++e) all.push_back(head.element(e));
  return all;
}

}  // namespace pumice::test
