// Which items may be ranked for a query, the best k of them, and why there are fewer.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "arrays.hpp"

namespace tastemaker {

// The best k of a stream of (score, item): higher scores first, equal scores by item code; never a NaN or minus infinity.
// A heap of keys, the worst on top. A key orders like (score, -item): the score's bits made monotone, then the item's complement.
class Best {
 public:
  explicit Best(int64_t k) : k_(size_t(k)) {}

  // An item must score above this to enter. Items come in ascending order, so an equal score comes too late.
  float threshold() const { return threshold_; }

  void offer(float score, int32_t item) {
    if (!(score > threshold_)) return;
    if (keys_.size() < k_) {
      keys_.push_back(key(score, item));
      std::push_heap(keys_.begin(), keys_.end(), std::greater<>{});
    } else {
      replace_worst(key(score, item));
    }
    if (keys_.size() == k_) threshold_ = score_of(keys_.front());
  }

  // Write the list, best first, and empty the heap. Returns its length.
  int64_t take(int32_t* items, float* scores) {
    std::sort(keys_.begin(), keys_.end(), std::greater<>{});
    for (size_t rank = 0; rank < keys_.size(); ++rank) {
      items[rank] = int32_t(~uint32_t(keys_[rank]));
      scores[rank] = score_of(keys_[rank]);
    }
    const int64_t found = int64_t(keys_.size());
    keys_.clear();
    threshold_ = kNone;
    return found;
  }

 private:
  static constexpr float kNone = -std::numeric_limits<float>::infinity();
  static constexpr uint32_t kSign = 0x80000000u;

  static uint64_t key(float score, int32_t item) {
    const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 becomes 0: they are equal
    const uint32_t ordered = bits & kSign ? ~bits : bits | kSign;
    return uint64_t(ordered) << 32 | uint32_t(~uint32_t(item));
  }

  static float score_of(uint64_t key) {
    const uint32_t ordered = uint32_t(key >> 32);
    return std::bit_cast<float>(ordered & kSign ? ordered ^ kSign : ~ordered);
  }

  void replace_worst(uint64_t entering) {
    uint64_t* keys = keys_.data();
    const size_t size = keys_.size();
    size_t hole = 0;
    for (size_t child; (child = 2 * hole + 1) < size; hole = child) {
      if (child + 1 < size) child += keys[child + 1] < keys[child];
      if (keys[child] >= entering) break;
      keys[hole] = keys[child];
    }
    keys[hole] = entering;
  }

  size_t k_;
  float threshold_ = kNone;
  std::vector<uint64_t> keys_;
};

// A sorted list of item codes, asked about ascending items.
struct Cursor {
  const int32_t* at = nullptr;
  const int32_t* end = nullptr;

  bool holds(int32_t item) {
    while (at != end && *at < item) ++at;
    return at != end && *at == item;
  }
};

// Call body(item) once for each item of a sorted list.
template <class Body>
void for_each_distinct(Cursor list, Body&& body) {
  for (const int32_t* at = list.at; at != list.end; ++at)
    if (at == list.at || *at != at[-1]) body(*at);
}

// Lists of item codes: none, one for all queries, or one a query. Rows are sorted; codes outside the catalogue are passed over.
struct Lists {
  const int64_t* indptr;
  const int32_t* indices;
  int64_t count, items;

  Lists(const CsrArrays& csr, int64_t items)
      : indptr(std::get<0>(csr).data()),
        indices(std::get<1>(csr).data()),
        count(std::max<int64_t>(int64_t(std::get<0>(csr).size()) - 1, 0)),
        items(items) {}

  bool given() const { return count > 0; }
  Cursor row(int64_t query) const {
    if (!given()) return {};
    const int64_t r = count == 1 ? 0 : query;
    const int32_t* end = indices + indptr[r + 1];
    const int32_t* begin = std::lower_bound(indices + indptr[r], end, 0);
    return {begin, std::lower_bound(begin, end, items, [](int32_t code, int64_t n) { return code < n; })};
  }
};

// What decides about items before scores do.
struct Rules {
  Lists seen, deny, allow;
  const bool* mask;  // which items meet the condition that all queries share; null: all do
  int64_t items, masked;

  Rules(const CsrArrays& seen, const CsrArrays& deny, const CsrArrays& allow, const Array1<const bool>& mask, int64_t items)
      : seen(seen, items),
        deny(deny, items),
        allow(allow, items),
        mask(mask.size() ? mask.data() : nullptr),
        items(items),
        masked(this->mask ? std::count(this->mask, this->mask + items, false) : 0) {}

  bool fails(int32_t item) const { return mask && !mask[item]; }
};

// One query's search through ascending items. The rules are looked up only for scores that are good enough.
struct Search {
  Best best;
  const Rules* rules = nullptr;
  Cursor seen, deny, allow;

  Search(int64_t k, int64_t items) : best(std::min(k, items)) {}

  void begin(const Rules& all, int64_t query) {
    rules = &all;
    seen = all.seen.row(query);
    deny = all.deny.row(query);
    allow = all.allow.row(query);
  }

  float threshold() const { return best.threshold(); }

  void offer(float score, int32_t item) {
    if (!(score > threshold()) || rules->fails(item) || seen.holds(item) || deny.holds(item)) return;
    if (rules->allow.given() && !allow.holds(item)) return;
    best.offer(score, item);
  }
};

// The columns of the account of a short list. The last one is for re-ranking to fill in.
enum Removed { kSeen, kDenied, kNotAllowed, kFiltered, kUnscored, kCapped, kReasons };

// Why a list is short: every item that is missing counts once, under the first rule that removes it.
inline void count_removed(const Rules& rules, int64_t query, int64_t found, int32_t* removed) {
  const Cursor seen = rules.seen.row(query), deny = rules.deny.row(query);
  int64_t counts[kReasons] = {}, failed = 0;  // failed: of the seen and denied ones
  for_each_distinct(seen, [&](int32_t item) { ++counts[kSeen], failed += rules.fails(item); });
  Cursor had = seen;
  for_each_distinct(deny, [&](int32_t item) {
    if (!had.holds(item)) ++counts[kDenied], failed += rules.fails(item);
  });
  counts[kFiltered] = rules.masked - failed;
  if (rules.allow.given()) {
    int64_t left = 0, failing = 0;
    Cursor gone[] = {seen, deny};
    for_each_distinct(rules.allow.row(query), [&](int32_t item) {
      if (!gone[0].holds(item) && !gone[1].holds(item)) ++left, failing += rules.fails(item);
    });
    counts[kNotAllowed] = rules.items - counts[kSeen] - counts[kDenied] - left;
    counts[kFiltered] = failing;
  }
  counts[kUnscored] = rules.items - found - counts[kSeen] - counts[kDenied] - counts[kNotAllowed] - counts[kFiltered];
  std::copy_n(counts, int(kReasons), removed);
}

}  // namespace tastemaker
