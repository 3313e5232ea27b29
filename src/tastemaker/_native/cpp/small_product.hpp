// Products of matrices that fit the caches, straight from where they lie: C = A * B, with A in any strides and B in rows.
// An output is one chain of multiply-adds over the depth, in order, whatever the sizes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "microkernel.hpp"

namespace tastemaker {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kTall = 12;  // rows of a tile of two vectors, so that the sums fill the registers
#else
inline constexpr int kTall = 6;
#endif

// The next multiple of a vector's length.
inline int64_t whole_vectors(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

struct Left {
  const float* from;
  int64_t row, depth;  // strides
};
struct Right {
  const float* from;
  int64_t stride;
};
struct Result {
  float* to;
  int64_t stride;
};

template <int R, int V>
void small_tile(Left a, Right b, Result c, int64_t depth, bool add) {
  Vector sum[R][V] = {};
  if (add) {
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] = load(c.to + r * c.stride + v * kLanes);
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector row[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) row[v] = load(b.from + k * b.stride + v * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += row[v] * a.from[r * a.row + k * a.depth];
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store(c.to + r * c.stride + v * kLanes, sum[r][v]);
}

// The tiles of 1..kTall rows, of one vector and of two: [rows - 1].
template <int... R>
struct SmallTiles {
  static constexpr decltype(&small_tile<1, 1>) one[] = {&small_tile<R + 1, 1>...};
  static constexpr decltype(&small_tile<1, 2>) two[] = {&small_tile<R + 1, 2>...};
};
template <int... R>
SmallTiles<R...> small_tiles_for(std::integer_sequence<int, R...>);
using SmallTileOf = decltype(small_tiles_for(std::make_integer_sequence<int, kTall>{}));

// C of at most kTall rows and `columns`, whole vectors; added to what is there, or in its place.
inline void product(Left a, Right b, Result c, int64_t rows, int64_t columns, int64_t depth, bool add = false) {
  int64_t n = 0;
  for (; n + 2 * kLanes <= columns; n += 2 * kLanes) SmallTileOf::two[rows - 1](a, {b.from + n, b.stride}, {c.to + n, c.stride}, depth, add);
  if (n < columns) SmallTileOf::one[rows - 1](a, {b.from + n, b.stride}, {c.to + n, c.stride}, depth, add);
}

}  // namespace tastemaker
