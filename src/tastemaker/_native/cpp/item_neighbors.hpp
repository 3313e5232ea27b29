// Every item's most similar items from who took both, without ever holding an items x items matrix.
//
// Items are renamed by popularity and a user's row is sorted by that rank. For one item, the pieces of its users' rows
// that stand before it are added up in one dense accumulator: so each pair is counted once, the busy end of the
// accumulator stays in the nearest cache, and the finished pair is offered to the running top k of both items.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <vector>

namespace tastemaker {

struct Ranked {                  // the interactions by user and by item, items named by rank: 0 is the most popular
  std::vector<int32_t> item_of;  // rank -> item
  std::vector<int64_t> row;      // user -> its first entry
  std::vector<int32_t> ranks;    // entry -> rank, ascending within a user
  std::vector<float> values;     // entry -> value; empty when every value is 1
  std::vector<int64_t> column;   // rank -> the first of its places
  std::vector<int32_t> users;    // place -> user
  std::vector<int64_t> entries;  // place -> the user's entry for this item
};

inline std::vector<int32_t> by_popularity(const std::vector<int64_t>& counts) {
  std::vector<int32_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return counts[a] > counts[b]; });
  return order;
}

// Two counting sorts: users' entries to their items' columns, then the columns, most popular first, back to the rows.
inline Ranked rank_items(const int64_t* indptr, const int32_t* items, const float* values, int64_t n_users,
                         int64_t n_items) {
  const int64_t n = indptr[n_users];
  std::vector<int64_t> counts(n_items, 0);
  for (int64_t e = 0; e < n; ++e) ++counts[items[e]];
  Ranked ranked;
  ranked.item_of = by_popularity(counts);
  std::vector<int64_t> next(n_items);  // item -> the next free place of its column
  ranked.column.assign(n_items + 1, 0);
  for (int64_t rank = 0; rank < n_items; ++rank) {
    const int32_t item = ranked.item_of[rank];
    next[item] = ranked.column[rank];
    ranked.column[rank + 1] = ranked.column[rank] + counts[item];
  }
  ranked.users.resize(n);
  ranked.entries.resize(n);
  for (int64_t user = 0; user < n_users; ++user)
    for (int64_t e = indptr[user]; e < indptr[user + 1]; ++e) {
      const int64_t place = next[items[e]]++;
      ranked.users[place] = int32_t(user);
      ranked.entries[place] = e;  // where the value is, until the row is sorted
    }
  ranked.row.assign(indptr, indptr + n_users + 1);
  ranked.ranks.resize(n);
  if (values) ranked.values.resize(n);
  std::vector<int64_t> free(indptr, indptr + n_users);
  for (int64_t rank = 0; rank < n_items; ++rank)
    for (int64_t place = ranked.column[rank]; place < ranked.column[rank + 1]; ++place) {
      const int64_t e = free[ranked.users[place]]++;
      ranked.ranks[e] = int32_t(rank);
      if (values) ranked.values[e] = values[ranked.entries[place]];
      ranked.entries[place] = e;
    }
  return ranked;
}

struct Similar {
  float similarity;
  int32_t item;
};

inline bool more_similar(const Similar& a, const Similar& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity : a.item < b.item;
}

// The running top k of every item. An offer takes one of a few locks; which thread comes first cannot matter, because
// the k best of a set do not depend on the order in which they are offered.
class TopNeighbors {
 public:
  TopNeighbors(int64_t n_items, int64_t k) : k_(k), size_(n_items, 0), heap_(n_items * k), locks_(kLocks) {}

  // Offer a neighbor; returns the similarity that the next one has to reach.
  float offer(int32_t item, Similar neighbor) {
    std::lock_guard lock(locks_[item % kLocks]);
    Similar* heap = heap_.data() + item * k_;
    int32_t& size = size_[item];
    if (size == k_) {
      if (!more_similar(neighbor, heap[0])) return heap[0].similarity;
      std::pop_heap(heap, heap + size, more_similar);
      heap[size - 1] = neighbor;
    } else {
      heap[size++] = neighbor;
    }
    std::push_heap(heap, heap + size, more_similar);
    return size == k_ ? heap[0].similarity : 0.0f;
  }

  // Append a neighbor less similar than all that the next ones are: no lock, nothing to move. Fewer than k.
  void append(int32_t item, Similar neighbor) { heap_[item * k_ + size_[item]++] = neighbor; }

  // How many neighbors each item keeps.
  int64_t k() const { return k_; }

  // The similarity that the next neighbor has to reach.
  float floor(int32_t item) const { return size_[item] == k_ ? heap_[item * k_].similarity : 0.0f; }

  // Write an item's neighbors, best first; what is left over is -1 and 0.
  void write(int64_t item, int32_t* neighbors, float* similarities) {
    Similar* heap = heap_.data() + item * k_;
    std::reverse(heap, heap + size_[item]);  // as it was appended it is in order then
    if (!std::is_sorted(heap, heap + size_[item], more_similar)) std::sort(heap, heap + size_[item], more_similar);
    for (int64_t n = 0; n < k_; ++n) {
      neighbors[n] = n < size_[item] ? heap[n].item : -1;
      similarities[n] = n < size_[item] ? heap[n].similarity : 0.0f;
    }
  }

 private:
  static constexpr int64_t kLocks = 1024;
  int64_t k_;
  std::vector<int32_t> size_;
  std::vector<Similar> heap_;
  std::vector<std::mutex> locks_;
};

enum class Measure { product, jaccard };  // product: sum of x·y, times both items' scales; jaccard: scales are counts

struct Scratch {  // a thread's own
  std::vector<float> sums;
  std::vector<int32_t> counts;
  std::vector<float> floors;  // rank -> what its neighbors have to reach, as this thread last saw it
};

// One pass for one item, over all the items more popular than it. With Weighted, entries carry values and their
// products are summed; with Counted, so many users in common are needed (without values the count is the sum).
template <bool Weighted, bool Counted>
class ItemPass {
 public:
  ItemPass(const Ranked& ranked, const float* scales, Measure measure, int32_t min_support, TopNeighbors& top)
      : ranked_(ranked), measure_(measure), min_support_(min_support), top_(top), scales_(ranked.item_of.size()) {
    for (size_t rank = 0; rank < scales_.size(); ++rank) scales_[rank] = scales[ranked.item_of[rank]];
  }

  void run(int32_t rank, Scratch& scratch) const {
    const size_t n_items = ranked_.item_of.size();
    if (Weighted) scratch.sums.resize(n_items);
    if (!Weighted || Counted) scratch.counts.resize(n_items);
    scratch.floors.resize(n_items);
    int64_t work = 0;
    each_row(rank, [&](int64_t begin, int64_t entry) {
      work += entry - begin;
      add_row(begin, entry, scratch);
    });
    if (work > rank / 8) {
      sweep(rank, scratch);
    } else {
      each_row(rank, [&](int64_t begin, int64_t entry) {
        for (int64_t e = begin; e < entry; ++e) finish(rank, ranked_.ranks[e], scratch);
      });
    }
  }

 private:
  // Call body(begin, entry) for the row of each of the item's users: entries [begin, entry) are the more popular items.
  template <class Body>
  void each_row(int32_t rank, Body&& body) const {
    constexpr int64_t kAhead = 8;  // rows are far apart in memory: ask early for those to come
    const int64_t end = ranked_.column[rank + 1];
    for (int64_t place = ranked_.column[rank]; place < end; ++place) {
      if (place + kAhead < end) fetch(ranked_.row[ranked_.users[place + kAhead]], ranked_.entries[place + kAhead]);
      body(ranked_.row[ranked_.users[place]], ranked_.entries[place]);
    }
  }

  void fetch(int64_t begin, int64_t entry) const {
    constexpr int64_t kLine = 16, kLines = 4;  // the hardware goes on from there
    for (int64_t e = begin; e < std::min(entry, begin + kLines * kLine); e += kLine) {
      __builtin_prefetch(ranked_.ranks.data() + e);
      if (Weighted) __builtin_prefetch(ranked_.values.data() + e);
    }
  }

  void add_row(int64_t begin, int64_t entry, Scratch& scratch) const {
    const int32_t* ranks = ranked_.ranks.data();
    if constexpr (Weighted) {
      const float x = ranked_.values[entry];
      for (int64_t e = begin; e < entry; ++e) scratch.sums[ranks[e]] += x * ranked_.values[e];
    }
    if constexpr (!Weighted || Counted)
      for (int64_t e = begin; e < entry; ++e) ++scratch.counts[ranks[e]];
  }

  float similarity(int32_t a, int32_t b, const Scratch& scratch) const {
    if (Counted && scratch.counts[b] < min_support_) return 0.0f;
    const float sum = Weighted ? scratch.sums[b] : float(scratch.counts[b]);
    return measure_ == Measure::product ? sum * (scales_[a] * scales_[b]) : sum / (scales_[a] + scales_[b] - sum);
  }

  void finish(int32_t rank, int32_t other, Scratch& scratch) const {
    const float value = similarity(rank, other, scratch);
    if (Weighted) scratch.sums[other] = 0;
    if (!Weighted || Counted) scratch.counts[other] = 0;
    if (!(value > 0)) return;
    if (value >= scratch.floors[rank])
      scratch.floors[rank] = top_.offer(ranked_.item_of[rank], {value, ranked_.item_of[other]});
    if (value >= scratch.floors[other])
      scratch.floors[other] = top_.offer(ranked_.item_of[other], {value, ranked_.item_of[rank]});
  }

  // Every more popular item, a chunk at a time: most chunks hold nothing that reaches a floor and are only cleared.
  void sweep(int32_t rank, Scratch& scratch) const {
    constexpr int32_t kChunk = 16;
    for (int32_t begin = 0; begin < rank; begin += kChunk) {
      const int32_t end = std::min(rank, begin + kChunk);
      const float own = scratch.floors[rank];
      int32_t any = 0;
      for (int32_t other = begin; other < end; ++other) {
        const float value = similarity(rank, other, scratch);
        any |= int32_t(value > 0) & (int32_t(value >= own) | int32_t(value >= scratch.floors[other]));
      }
      if (any) {
        for (int32_t other = begin; other < end; ++other) finish(rank, other, scratch);
      } else {
        if (Weighted) std::fill(scratch.sums.begin() + begin, scratch.sums.begin() + end, 0.0f);
        if (!Weighted || Counted) std::fill(scratch.counts.begin() + begin, scratch.counts.begin() + end, 0);
      }
    }
  }

  const Ranked& ranked_;
  Measure measure_;
  int32_t min_support_;
  TopNeighbors& top_;
  std::vector<float> scales_;
};

// A stride that visits every one of n items once, in an order unrelated to popularity: floors rise early that way.
inline int64_t scattering_stride(int64_t n) {
  int64_t stride = std::max<int64_t>(1, int64_t(double(n) * 0.6180339887));
  while (std::gcd(stride, n) != 1) ++stride;
  return stride;
}

}  // namespace tastemaker
