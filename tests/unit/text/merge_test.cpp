// The merge loop against the definition: look at every pair, take the best, start again.
#include "engine/text/merge.h"

#include <map>
#include <random>

#include "tests/unit/text/fixtures.h"

namespace pumice::text_tests {
namespace {

using Ids = std::vector<int32_t>;
using Pairs = std::map<std::pair<int32_t, int32_t>, text::Merge>;

Ids merge_by_definition(Ids ids, const Pairs& pairs) {
  for (;;) {
    size_t best = ids.size();
    uint32_t rank = text::kNoRank;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = pairs.find({ids[i], ids[i + 1]});
      if (found != pairs.end() && found->second.rank < rank) {
        rank = found->second.rank;
        best = i;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = pairs.at({ids[best], ids[best + 1]}).id;
    ids.erase(ids.begin() + ptrdiff_t(best) + 1);
  }
}

Ids merge_by_list(text::MergeList& list, const Ids& ids, const Pairs& pairs, uint32_t n_ranks) {
  list.clear();
  for (size_t i = 0; i < ids.size(); ++i) list.add(uint32_t(i), ids[i]);
  list.close(uint32_t(ids.size()));
  list.run(
      [&](const text::MergeList& l, uint32_t left, uint32_t right) {
        const auto found = pairs.find({l[left].id, l[right].id});
        return found == pairs.end() ? text::Merge{} : found->second;
      },
      n_ranks);
  Ids out;
  for (uint32_t i = list.first(); i != list.sentinel(); i = list[i].next) out.push_back(list[i].id);
  return out;
}

// Few ranks for many pairs: equal ranks, and merges that make better ranked pairs behind the
// cursor.
TEST(Merge, AgreesWithTheDefinition) {
  std::mt19937 random(3);
  text::MergeList list;  // kept from case to case, as the tokenizer does
  for (int round = 0; round < 400; ++round) {
    const uint32_t n_ranks = 1 + uint32_t(random() % (round % 2 ? 4 : 60));
    Pairs pairs;
    for (int i = 0; i < 60; ++i)
      pairs[{int32_t(random() % 12), int32_t(random() % 12)}] = {uint32_t(random() % n_ranks),
                                                                 int32_t(random() % 12)};
    Ids ids(random() % 300);
    for (int32_t& id : ids) id = int32_t(random() % 5);
    EXPECT_EQ(merge_by_list(list, ids, pairs, n_ranks), merge_by_definition(ids, pairs));
  }
}

TEST(Merge, LeftmostFirstAmongEquals) {
  const Pairs pairs = {{{0, 0}, {0, 1}}};
  text::MergeList list;
  EXPECT_EQ(merge_by_list(list, {0, 0, 0}, pairs, 1), (Ids{1, 0}));
  EXPECT_EQ(merge_by_list(list, {}, pairs, 1), Ids{});
  EXPECT_EQ(merge_by_list(list, Ids(101, 0), pairs, 1).back(), 0);
}

}  // namespace
}  // namespace pumice::text_tests
