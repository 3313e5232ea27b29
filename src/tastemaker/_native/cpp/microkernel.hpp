// The register tile behind every dot product: kRows queries times one panel of kPanel items, summed over the factors.
// Each of the outputs is one chain of multiply-adds, offset + q[0]*v[0] + q[1]*v[1] + ..., in that order. How many queries share a
// tile, which panel an item lies in and which thread computes it change nothing: a score has the same bits alone or in any batch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

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
typedef int32_t Mask __attribute__((vector_size(kLanes * sizeof(float))));

inline Vector load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

// queries: factors x R (a packed group); panel: factors x kPanel; offsets: kPanel; row r of the tile goes to out + r * stride.
template <int R>
void dot_tile(const float* queries, const float* panel, const float* offsets, int64_t factors, float* out, int64_t stride) {
  Vector sum[R][kVectors];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load(offsets + v * kLanes);
  for (int64_t f = 0; f < factors; ++f, queries += R, panel += kPanel) {
    Vector items[kVectors];
    for (int v = 0; v < kVectors; ++v) items[v] = load(panel + v * kLanes);
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] += items[v] * queries[r];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < kVectors; ++v) store(out + r * stride + v * kLanes, sum[r][v]);
}

using DotTile = void (*)(const float*, const float*, const float*, int64_t, float*, int64_t);

// The tile for a group of 1..kRows queries.
inline DotTile dot_tile_of(int64_t rows) {
  static constexpr auto table = []<int... R>(std::integer_sequence<int, R...>) {
    struct Table {
      DotTile tile[kRows];
    };
    return Table{{&dot_tile<R + 1>...}};
  }(std::make_integer_sequence<int, kRows>{});
  return table.tile[rows - 1];
}

// How many queries a shard takes: enough to reuse a panel while it is in the first-level cache, few enough to balance the threads.
inline int64_t shard_rows(int64_t queries, int threads) {
  const int64_t fair = (queries + 4 * threads - 1) / (4 * threads);
  return std::clamp<int64_t>((fair + kRows - 1) / kRows * kRows, kRows, 128);
}

// Lay `rows` queries (rows x factors) side by side as factors x rows.
inline void pack_group(const float* queries, int64_t rows, int64_t factors, float* packed) {
  for (int64_t f = 0; f < factors; ++f)
    for (int64_t r = 0; r < rows; ++r) packed[f * rows + r] = queries[r * factors + f];
}

// Lay up to kPanel items (rows of `items`, picked by `codes` or from `first` on) side by side as factors x kPanel; the rest is zero.
inline void pack_panel(const float* items, const int32_t* codes, int64_t first, int64_t count, int64_t factors, float* panel) {
  if (count < kPanel) std::memset(panel, 0, sizeof(float) * kPanel * factors);
  for (int64_t lane = 0; lane < count; ++lane) {
    const float* item = items + (codes ? int64_t(codes[lane]) : first + lane) * factors;
    for (int64_t f = 0; f < factors; ++f) panel[f * kPanel + lane] = item[f];
  }
}

}  // namespace tastemaker
