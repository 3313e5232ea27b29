// Some items' most similar items found anew, and what that changes in the lists of the others.
//
// For one moved item the whole rows of its users are added up in one dense accumulator; every sum is a pair with the item, which
// is offered to both lists.
#pragma once

#include <limits>

#include "csr.hpp"
#include "item_neighbors.hpp"

namespace tastemaker {

struct Neighbors {  // of n_items items, k each, the most similar first, -1 past the last
  const int32_t* codes;
  const float* similarities;
  int64_t n_items, k;
};

// With Counted, so many users in common are needed.
template <bool Counted>
struct MovedPass {
  Csr users;             // a row a user: items; values null where all are 1
  Csr columns;           // a row a moved item: its users and its values there
  const int32_t* moved;  // the items
  const std::vector<char>& is_moved;
  const float* scales;
  Measure measure;
  int32_t min_support;
  TopNeighbors& top;

  struct Scratch {  // all by item
    std::vector<float> sums;
    std::vector<int32_t> counts;
    std::vector<float> floors;  // what its neighbors have to reach, as this thread last saw it
  };

  Scratch scratch() const {
    const size_t n_items = is_moved.size();
    Scratch own{std::vector<float>(n_items), std::vector<int32_t>(Counted ? n_items : 0), std::vector<float>(n_items)};
    for (size_t item = 0; item < n_items; ++item)  // a moved item finds its pairs itself
      own.floors[item] = is_moved[item] ? std::numeric_limits<float>::infinity() : top.floor(int32_t(item));
    return own;
  }

  float similarity(int32_t a, int32_t b, const Scratch& own) const {
    if (Counted && own.counts[b] < min_support) return 0.0f;
    const float sum = own.sums[b];
    return measure == Measure::product ? sum * (scales[a] * scales[b]) : sum / (scales[a] + scales[b] - sum);
  }

  template <class Body>
  void each_entry(int64_t place, Body&& body) const {
    for (int64_t c = columns.indptr[place]; c < columns.indptr[place + 1]; ++c) {
      const int32_t user = columns.indices[c];
      const float x = columns.values[c];
      const int64_t begin = users.indptr[user], end = users.indptr[user + 1];
      if (users.values)
        for (int64_t e = begin; e < end; ++e) body(users.indices[e], x * users.values[e]);
      else
        for (int64_t e = begin; e < end; ++e) body(users.indices[e], x);
    }
  }

  // `floor` is what the item's own neighbors have to reach.
  void finish(int32_t item, int32_t other, float& floor, Scratch& own) const {
    const float value = other == item ? 0.0f : similarity(item, other, own);
    own.sums[other] = 0;
    if (Counted) own.counts[other] = 0;
    if (!(value > 0)) return;
    if (value >= floor) floor = top.offer(item, {value, other});
    if (value >= own.floors[other]) own.floors[other] = top.offer(other, {value, item});
  }

  // Every item, a chunk at a time: most chunks hold nothing that reaches a floor and are only cleared.
  void sweep(int32_t item, float& floor, Scratch& own) const {
    constexpr int32_t kChunk = 16;
    const int32_t n_items = int32_t(is_moved.size());
    for (int32_t begin = 0; begin < n_items; begin += kChunk) {
      const int32_t end = std::min(n_items, begin + kChunk);
      int32_t any = 0;
      for (int32_t other = begin; other < end; ++other) {
        const float value = similarity(item, other, own);
        any |= int32_t(value > 0) & (int32_t(value >= floor) | int32_t(value >= own.floors[other]));
      }
      if (any) {
        for (int32_t other = begin; other < end; ++other) finish(item, other, floor, own);
      } else {
        std::fill(own.sums.begin() + begin, own.sums.begin() + end, 0.0f);
        if (Counted) std::fill(own.counts.begin() + begin, own.counts.begin() + end, 0);
      }
    }
  }

  void run(int64_t place, Scratch& own) const {
    const int32_t item = moved[place];
    float floor = 0;
    int64_t work = 0;
    each_entry(place, [&](int32_t other, float product) {
      own.sums[other] += product;
      if (Counted) ++own.counts[other];
      ++work;
    });
    if (work > int64_t(is_moved.size()) / 8)
      sweep(item, floor, own);
    else
      each_entry(place, [&](int32_t other, float) { finish(item, other, floor, own); });
  }
};

// An item's list as it was, but for the moved items in it, and for what a shorter list has no room for.
inline void keep_neighbors(const Neighbors& old, int64_t item, const std::vector<char>& is_moved, TopNeighbors& top) {
  const auto stays = [&](int64_t n) { return old.codes[n] >= 0 && !is_moved[old.codes[n]]; };
  const int64_t begin = item * old.k;
  int64_t end = begin;
  for (int64_t room = top.k(); end < begin + old.k && room > 0; ++end) room -= stays(end);
  for (int64_t n = end - 1; n >= begin; --n)
    if (stays(n)) top.append(int32_t(item), {old.similarities[n], old.codes[n]});
}

}  // namespace tastemaker
