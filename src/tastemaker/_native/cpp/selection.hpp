// The best k of a stream of (score, item): higher scores first, equal scores by item code, and never a NaN or minus infinity.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace tastemaker {

// A heap of keys, worst on top. A key orders like (score, -item): the score's bits made monotone, then the item's complement.
class Best {
 public:
  explicit Best(int64_t k) : k_(size_t(k)) {}

  // An item must score above this to enter. Items come in ascending order, so an equal score comes too late.
  float threshold() const { return threshold_; }

  void offer(float score, int32_t item) {
    if (!(score > threshold_)) return;
    keys_.push_back(key(score, item));
    std::push_heap(keys_.begin(), keys_.end(), std::greater<>{});
    if (keys_.size() > k_) {
      std::pop_heap(keys_.begin(), keys_.end(), std::greater<>{});
      keys_.pop_back();
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
  int64_t size() const { return end - at; }
};

// Lists of item codes, one a query, or one for all of them, or none. Rows are sorted; codes outside the catalogue are passed over.
struct Lists {
  const int64_t* indptr;
  const int32_t* indices;
  int64_t count;  // 0: no lists; 1: shared by all queries
  int64_t items;

  bool given() const { return count > 0; }
  bool shared() const { return count == 1; }
  Cursor row(int64_t query) const {
    if (!given()) return {};
    const int64_t r = shared() ? 0 : query;
    const int32_t *begin = indices + indptr[r], *end = indices + indptr[r + 1];
    begin = std::lower_bound(begin, end, 0);
    return {begin, std::lower_bound(begin, end, items, [](int32_t code, int64_t n) { return code < n; })};
  }
};

// What decides about items before scores do.
struct Rules {
  Lists seen, deny, allow;
  const bool* mask;  // which items meet the shared condition; null: all
  int64_t items;
  int64_t unmasked = 0;  // how many do not meet it
};

enum Removed { kSeen, kDenied, kNotAllowed, kFiltered, kUnscored, kReasons };

// Why a list is short: every item that is missing counts once, under the first rule that removes it.
inline void count_removed(const Rules& rules, int64_t query, int64_t found, int32_t* removed) {
  Cursor seen = rules.seen.row(query), deny = rules.deny.row(query);
  const auto fails = [&](int32_t item) { return rules.mask && !rules.mask[item]; };
  int64_t counts[kReasons] = {};
  int64_t fails_already = 0;
  const auto each = [](Cursor list, auto&& body) {
    for (const int32_t* at = list.at; at != list.end; ++at)
      if (at == list.at || *at != at[-1]) body(*at);
  };
  each(seen, [&](int32_t item) { ++counts[kSeen], fails_already += fails(item); });
  Cursor also_seen = seen;
  each(deny, [&](int32_t item) {
    if (!also_seen.holds(item)) ++counts[kDenied], fails_already += fails(item);
  });
  counts[kFiltered] = rules.unmasked - fails_already;
  if (rules.allow.given()) {
    int64_t left = 0, failing = 0;
    Cursor a = seen, b = deny;
    each(rules.allow.row(query), [&](int32_t item) {
      if (!a.holds(item) && !b.holds(item)) ++left, failing += fails(item);
    });
    counts[kNotAllowed] = rules.items - counts[kSeen] - counts[kDenied] - left;
    counts[kFiltered] = failing;
  }
  counts[kUnscored] = rules.items - found - counts[kSeen] - counts[kDenied] - counts[kNotAllowed] - counts[kFiltered];
  std::copy_n(counts, int(kReasons), removed);
}

}  // namespace tastemaker
