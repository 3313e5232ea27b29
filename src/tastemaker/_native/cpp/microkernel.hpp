// The register tile behind every dot product: kRows queries times one panel of kPanel items, summed over the factors.
// Each of the outputs is one chain of multiply-adds, offset + q[0]*v[0] + q[1]*v[1] + ..., in that order. How many queries share a
// tile, which panel an item lies in and which thread computes it change nothing: a score has the same bits alone or in any batch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace tastemaker {

// Chosen so that the sums, one row of the panel and one broadcast query value fill the registers without spilling.
#if defined(__AVX512F__)
inline constexpr int kLanes = 16, kRows = 8, kVectors = 3;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8, kRows = 4, kVectors = 3;
#elif defined(__aarch64__)
inline constexpr int kLanes = 4, kRows = 8, kVectors = 3;
#else
inline constexpr int kLanes = 4, kRows = 4, kVectors = 2;
#endif
inline constexpr int kPanel = kLanes * kVectors;

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t Integers __attribute__((vector_size(kLanes * sizeof(int32_t))));
typedef float Unaligned __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Unaligned*>(to) = value; }

// R queries against one panel. What the tile reads: queries, factors x R; panel, factors x kPanel; offsets, kPanel.
template <int R>
struct Tile {
  Vector sum[R][kVectors];

  [[gnu::always_inline]] Tile(const float* queries, const float* panel, const float* offsets, int64_t factors) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sum[r][v] = load(offsets + v * kLanes);
    for (int64_t f = 0; f < factors; ++f, queries += R, panel += kPanel) {
      Vector items[kVectors];
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) items[v] = load(panel + v * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) sum[r][v] += items[v] * queries[r];
    }
  }

  // Row r goes to out + r * stride.
  [[gnu::always_inline]] void store_to(float* out, int64_t stride) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) store(out + r * stride + v * kLanes, sum[r][v]);
  }

  // Bit r is set when a score in row r is above thresholds[r].
  [[gnu::always_inline]] uint32_t rows_above(const float* thresholds) const {
    Integers found = {};
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) found |= (sum[r][v] > thresholds[r]) & (1 << r);
    uint32_t rows = 0;
    for (int lane = 0; lane < kLanes; ++lane) rows |= uint32_t(found[lane]);
    return rows;
  }
};

// Write the scores of a group of queries.
template <int R>
void score_tile(const float* queries, const float* panel, const float* offsets, int64_t factors, float* out, int64_t stride) {
  Tile<R>(queries, panel, offsets, factors).store_to(out, stride);
}

// Write the scores only if one is above its query's threshold; says which rows have such a score.
template <int R>
uint32_t scan_tile(const float* queries, const float* panel, const float* offsets, int64_t factors, const float* thresholds,
                   float* out) {
  const Tile<R> tile(queries, panel, offsets, factors);
  const uint32_t rows = tile.rows_above(thresholds);
  if (rows) tile.store_to(out, kPanel);
  return rows;
}

// The functions above for groups of 1..kRows queries: [rows - 1].
template <int... R>
struct Tiles {
  static constexpr decltype(&score_tile<1>) score[] = {&score_tile<R + 1>...};
  static constexpr decltype(&scan_tile<1>) scan[] = {&scan_tile<R + 1>...};
};
template <int... R>
Tiles<R...> tiles_for(std::integer_sequence<int, R...>);
using TileOf = decltype(tiles_for(std::make_integer_sequence<int, kRows>{}));

// How many queries a shard takes: enough to reuse a panel while it is in the first-level cache, few enough to balance the threads.
inline int64_t shard_rows(int64_t queries, int threads) {
  const int64_t fair = (queries + 4 * threads - 1) / (4 * threads);
  return std::clamp<int64_t>((fair + kRows - 1) / kRows * kRows, kRows, 128);
}

// Lay queries (rows x factors) in groups of kRows: each group factors x its rows, the last one of what is left.
inline std::vector<float> pack_groups(const float* queries, int64_t rows, int64_t factors) {
  std::vector<float> packed(rows * factors);
  float* to = packed.data();
  for (int64_t q = 0; q < rows; q += kRows)
    for (int64_t f = 0; f < factors; ++f)
      for (int64_t r = q; r < std::min(q + kRows, rows); ++r) *to++ = queries[r * factors + f];
  return packed;
}

// Lay up to kPanel items, rows of `items` picked by `codes`, side by side as factors x kPanel; the rest is zero.
inline void pack_panel(const float* items, const int32_t* codes, int64_t count, int64_t factors, float* panel) {
  if (count < kPanel) std::memset(panel, 0, sizeof(float) * kPanel * factors);
  for (int64_t lane = 0; lane < count; ++lane) {
    const float* item = items + codes[lane] * factors;
    for (int64_t f = 0; f < factors; ++f) panel[f * kPanel + lane] = item[f];
  }
}

}  // namespace tastemaker
