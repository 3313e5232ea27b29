// Matrix products of training, for matrices that lie in the caches: a tile of sums in registers, whatever is transposed.
#pragma once

#include <cstdint>

#include "microkernel.hpp"

namespace tastemaker {

inline int64_t padded(int64_t size) { return (size + kLanes - 1) / kLanes * kLanes; }

// a(row, k) is at row * of_row + k * of_k.
struct Factor {
  const float* at;
  int64_t of_row, of_k;
};

template <int R, int N>
void tile(Factor a, const float* b, int64_t stride, int64_t ks, float* out, int64_t out_stride) {
  Vector sum[R][N];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sum[r][n] = load(out + r * out_stride + n * kLanes);
  for (int64_t k = 0; k < ks; ++k) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[r][n] += load(b + k * stride + n * kLanes) * a.at[r * a.of_row + k * a.of_k];
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(out + r * out_stride + n * kLanes, sum[r][n]);
}

template <int N>
void columns(Factor a, int64_t rows, const float* b, int64_t stride, int64_t ks, float* out, int64_t out_stride) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) tile<4, N>({a.at + r * a.of_row, a.of_row, a.of_k}, b, stride, ks, out + r * out_stride, out_stride);
  for (; r < rows; ++r) tile<1, N>({a.at + r * a.of_row, a.of_row, a.of_k}, b, stride, ks, out + r * out_stride, out_stride);
}

// out(row, c) += sum over k of a(row, k) b(k, c), for c up to `width`, a multiple of the lanes.
inline void add_product(Factor a, int64_t rows, const float* b, int64_t stride, int64_t ks, float* out, int64_t out_stride, int64_t width) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes) columns<4>(a, rows, b + c, stride, ks, out + c, out_stride);
  for (; c + 2 * kLanes <= width; c += 2 * kLanes) columns<2>(a, rows, b + c, stride, ks, out + c, out_stride);
  for (; c < width; c += kLanes) columns<1>(a, rows, b + c, stride, ks, out + c, out_stride);
}

}  // namespace tastemaker
