// Merging neighbours by rank, lowest rank first and leftmost among equals: the loop that both kinds
// of vocabulary share. Linear in practice for any length: candidates wait in one bucket per rank,
// and only the distinct ranks go through a heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace pumice::text {

inline constexpr uint32_t kNoRank = UINT32_MAX;

/// What two neighbours become, if anything.
struct Merge {
  uint32_t rank = kNoRank;
  int32_t id = -1;
};

/// A piece of the text in a doubly linked list inside a vector; a sentinel closes the list.
struct MergeNode {
  uint32_t begin = 0;  ///< byte offset in the text; ends where `next` begins
  int32_t id = -1;
  uint32_t prev = 0;
  uint32_t next = 0;
  Merge merge = {};  ///< with `next`
};

/// Pops (rank, position) in ascending order.
class RankQueue {
 public:
  void reset(uint32_t n_ranks) {
    if (bucket_of_.size() < n_ranks) bucket_of_.assign(n_ranks, kNoBucket);
  }

  void push(uint32_t rank, uint32_t position) {
    uint32_t& which = bucket_of_[rank];
    if (which == kNoBucket) {
      which = acquire();
      ranks_.push_back(rank);
      std::push_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    }
    Bucket& bucket = buckets_[which];
    auto& list = bucket.open ? bucket.late : bucket.early;
    list.push_back(position);
    if (bucket.open) std::push_heap(list.begin(), list.end(), std::greater<>());
  }

  bool pop(uint32_t& rank, uint32_t& position) {
    while (!ranks_.empty()) {
      rank = ranks_.front();
      if (take(buckets_[bucket_of_[rank]], position)) return true;
      release(rank);
    }
    return false;
  }

 private:
  static constexpr uint32_t kNoBucket = UINT32_MAX;

  struct Bucket {
    std::vector<uint32_t> early;  ///< pushed before the first pop; sorted then
    std::vector<uint32_t> late;   ///< pushed since; a heap, rare
    size_t cursor = 0;
    bool open = false;
  };

  static bool take(Bucket& bucket, uint32_t& position) {
    if (!bucket.open) {
      if (!std::is_sorted(bucket.early.begin(), bucket.early.end()))
        std::sort(bucket.early.begin(), bucket.early.end());
      bucket.open = true;
    }
    const bool has_early = bucket.cursor < bucket.early.size();
    if (!has_early && bucket.late.empty()) return false;
    if (has_early && (bucket.late.empty() || bucket.early[bucket.cursor] <= bucket.late.front())) {
      position = bucket.early[bucket.cursor++];
      return true;
    }
    position = bucket.late.front();
    std::pop_heap(bucket.late.begin(), bucket.late.end(), std::greater<>());
    bucket.late.pop_back();
    return true;
  }

  uint32_t acquire() {
    if (free_.empty()) {
      buckets_.emplace_back();
      return uint32_t(buckets_.size() - 1);
    }
    const uint32_t which = free_.back();
    free_.pop_back();
    return which;
  }

  void release(uint32_t rank) {
    constexpr size_t kKeep = 4096;  // positions; larger lists go back to the system at once
    Bucket& bucket = buckets_[bucket_of_[rank]];
    for (auto* list : {&bucket.early, &bucket.late}) {
      list->clear();
      if (list->capacity() > kKeep) list->shrink_to_fit();
    }
    bucket.cursor = 0;
    bucket.open = false;
    free_.push_back(bucket_of_[rank]);
    bucket_of_[rank] = kNoBucket;
    std::pop_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    ranks_.pop_back();
  }

  std::vector<uint32_t> bucket_of_;  ///< by rank
  std::vector<uint32_t> ranks_;      ///< min-heap of the ranks that have a bucket
  std::vector<Bucket> buckets_;
  std::vector<uint32_t> free_;
};

/// The list being merged and its working memory, reused from one stretch of text to the next.
class MergeList {
 public:
  void clear() { nodes_.clear(); }
  void reserve(size_t n) { nodes_.reserve(n + 1); }
  void add(uint32_t begin, int32_t id = -1) {
    const auto at = uint32_t(nodes_.size());
    nodes_.push_back({begin, id, at - 1, at + 1, {}});
  }
  /// Closes the list at the end of the text.
  void close(uint32_t end) { add(end); }

  [[nodiscard]] uint32_t first() const { return 0; }
  [[nodiscard]] uint32_t sentinel() const { return uint32_t(nodes_.size() - 1); }
  [[nodiscard]] const MergeNode& operator[](uint32_t i) const { return nodes_[i]; }
  [[nodiscard]] uint32_t end_of(uint32_t i) const { return nodes_[nodes_[i].next].begin; }

  /// `rule(list, left, right)` gives the Merge of two neighbours; ranks are below `n_ranks`.
  template <class Rule>
  void run(const Rule& rule, uint32_t n_ranks) {
    for (uint32_t i = 0; i < sentinel(); ++i) refresh(rule, i);
    if (nodes_.size() <= kFewNodes) {
      run_few(rule);
    } else {
      run_many(rule, n_ranks);
    }
  }

 private:
  static constexpr size_t kFewNodes = 40;  ///< up to here a scan beats the queue

  template <class Rule>
  void refresh(const Rule& rule, uint32_t i) {
    const uint32_t right = nodes_[i].next;
    nodes_[i].merge = right == sentinel() ? Merge{} : rule(*this, i, right);
  }

  void join(uint32_t i) {
    const uint32_t right = nodes_[i].next;
    nodes_[i].id = nodes_[i].merge.id;
    nodes_[i].next = nodes_[right].next;
    nodes_[nodes_[right].next].prev = i;
    nodes_[right].merge = {};  // entries that still wait for it become stale
  }

  template <class Rule>
  void run_few(const Rule& rule) {
    for (;;) {
      uint32_t best = 0;
      for (uint32_t i = 0; i != sentinel(); i = nodes_[i].next)
        if (nodes_[i].merge.rank < nodes_[best].merge.rank) best = i;
      if (nodes_[best].merge.rank == kNoRank) return;
      join(best);
      refresh(rule, best);
      if (best != 0) refresh(rule, nodes_[best].prev);
    }
  }

  template <class Rule>
  void run_many(const Rule& rule, uint32_t n_ranks) {
    queue_.reset(n_ranks);
    const auto enqueue = [&](uint32_t i) {
      if (nodes_[i].merge.rank != kNoRank) queue_.push(nodes_[i].merge.rank, i);
    };
    for (uint32_t i = 0; i < sentinel(); ++i) enqueue(i);
    uint32_t rank = 0, at = 0;
    while (queue_.pop(rank, at)) {
      if (nodes_[at].merge.rank != rank) continue;  // a neighbour was merged since
      join(at);
      if (at != 0) {
        refresh(rule, nodes_[at].prev);
        enqueue(nodes_[at].prev);
      }
      refresh(rule, at);
      enqueue(at);
    }
  }

  std::vector<MergeNode> nodes_;
  RankQueue queue_;
};

}  // namespace pumice::text
