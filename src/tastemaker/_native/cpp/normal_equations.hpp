// Small dense linear algebra for one row of a factor model: Gram matrices by register tiles, and a Cholesky factorization
// whose trailing updates are the same tiles. float32, one thread, every sum in a fixed order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "microkernel.hpp"

namespace tastemaker {

// An output tile: kTileRows x kTileColumns sums held in registers.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 8;
#else
inline constexpr int kTileRows = 4;
#endif
inline constexpr int kTileVectors = 2;
inline constexpr int kTileColumns = kTileVectors * kLanes;

// Strides and widths are multiples of this, so that tiles of every instruction set fit.
inline constexpr int64_t kPad = 32;
inline int64_t padded(int64_t width) { return (width + kPad - 1) / kPad * kPad; }

// Numbers that start on a cache line: a vector of 64 bytes that straddles two lines costs twice as much to load.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* at, size_t) { ::operator delete(at, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};
using Floats = std::vector<float, LineAllocator<float>>;

// Where the two operands of a product lie: left(r, k) at left[r * row + k * step], right(k, c) at right[k * stride + c].
struct Operands {
  const float* left;
  int64_t row, step;
  const float* right;
  int64_t stride;
};

// out(r, c) = keep * out(r, c) + sign * sum over k < depth of left(r, k) * right(k, c), for one tile.
template <bool Keep, bool Minus>
inline void multiply_tile(const Operands& of, int64_t depth, float* out, int64_t out_stride) {
  Vector sum[kTileRows][kTileVectors] = {};
  const float *left = of.left, *right = of.right;
  for (int64_t k = 0; k < depth; ++k, left += of.step, right += of.stride) {
    Vector columns[kTileVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kTileVectors; ++v) columns[v] = load(right + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] += columns[v] * left[r * of.row];
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kTileVectors; ++v) {
      float* const to = out + r * out_stride + v * kLanes;
      const Vector added = Minus ? -sum[r][v] : sum[r][v];
      store(to, Keep ? load(to) + added : added);
    }
}

// The upper triangle of gram[width x width] += sign * Z'Z, where Z is rows x width with the given stride. Tiles on the diagonal
// write below it too; nothing reads that. Rows of Z are taken a few at a time, so that they stay in the cache for all tiles.
template <bool Minus = false>
void add_gram(const float* z, int64_t rows, int64_t stride, int64_t width, float* gram, int64_t gram_stride) {
  constexpr int64_t kDepth = 128;
  for (int64_t k = 0; k < rows; k += kDepth) {
    const float* const part = z + k * stride;
    for (int64_t a = 0; a < width; a += kTileRows)
      for (int64_t b = a / kTileColumns * kTileColumns; b < width; b += kTileColumns)
        multiply_tile<true, Minus>({part + a, 1, stride, part + b, stride}, std::min(kDepth, rows - k),
                                   gram + a * gram_stride + b, gram_stride);
  }
}

// The sums of kLanes vectors at once: lane r of the result is the sum of the lanes of rows[r].
template <int Step, int... lane>
[[gnu::always_inline]] inline Vector fold(Vector a, Vector b, std::integer_sequence<int, lane...>) {
  const Vector straight = __builtin_shufflevector(a, b, ((lane & Step) ? lane + kLanes : lane)...);
  const Vector crossed = __builtin_shufflevector(a, b, ((lane & Step) ? lane - Step + kLanes : lane + Step)...);
  return straight + crossed;
}

template <int Step = 1>
[[gnu::always_inline]] inline Vector lane_sums(const Vector* rows) {
  if constexpr (Step == kLanes) {
    return rows[0];
  } else {
    Vector halves[kLanes / Step / 2];
#pragma GCC unroll 8
    for (int pair = 0; pair < kLanes / Step / 2; ++pair)
      halves[pair] = fold<Step>(rows[2 * pair], rows[2 * pair + 1], std::make_integer_sequence<int, kLanes>());
    return lane_sums<2 * Step>(halves);
  }
}

inline float lane_sum(Vector vector) {
  float lanes[kLanes];
  store(lanes, vector);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  return lanes[0];
}

// Both of a length that is a multiple of kLanes.
inline float dot(const float* a, const float* b, int64_t length) {
  Vector sum = {};
  for (int64_t k = 0; k < length; k += kLanes) sum += load(a + k) * load(b + k);
  return lane_sum(sum);
}

inline void add_scaled(float scale, const float* x, float* y, int64_t length) {
  for (int64_t k = 0; k < length; k += kLanes) store(y + k, load(y + k) + load(x + k) * scale);
}

// A symmetric positive definite matrix I + Z'Z, its factorization C'C with C upper triangular, and solutions.
class NormalEquations {
 public:
  // Make it the identity of a width, which is padded: what is added beyond `width` has no effect.
  void reset(int64_t width) {
    width_ = padded(width);
    matrix_.assign(width_ * width_, 0.0f);
    for (int64_t a = 0; a < width_; ++a) at(a)[a] = 1;
  }

  void add(const float* z, int64_t rows, int64_t stride) { add_gram(z, rows, stride, width_, matrix_.data(), width_); }

  void factorize() {
    constexpr int64_t kPanelRows = 32;
    for (int64_t a = 0; a < width_; a += kPanelRows) {
      factorize_panel(a, a + kPanelRows);
      const int64_t rest = a + kPanelRows;
      if (rest < width_)
        add_gram<true>(at(a) + rest, kPanelRows, width_, width_ - rest, at(rest) + rest, width_);
    }
  }

  // x: the right side, replaced by the solution; of the padded width, zero beyond the width.
  void solve(float* x) const {
    for (int64_t a = 0; a < width_; ++a) {
      x[a] /= at(a)[a];
      subtract_scaled(x[a], a, x);
    }
    for (int64_t a = width_ - 1; a >= 0; --a) x[a] = (x[a] - dot_beyond(a, x)) / at(a)[a];
  }

  int64_t width() const { return width_; }

 private:
  float* at(int64_t a) { return &matrix_[a * width_]; }
  const float* at(int64_t a) const { return &matrix_[a * width_]; }

  // Rows first..last of C, from what the rows before have left of the matrix.
  void factorize_panel(int64_t first, int64_t last) {
    for (int64_t a = first; a < last; ++a) {
      float* const row = at(a);
      const float inverse = 1 / std::sqrt(row[a]);
      for (int64_t c = a / kLanes * kLanes; c < width_; c += kLanes) store(row + c, load(row + c) * inverse);
      for (int64_t b = a + 1; b < last; ++b) {
        const int64_t start = b / kLanes * kLanes;
        add_scaled(-row[b], row + start, at(b) + start, width_ - start);
      }
    }
  }

  // x[b] -= C[a][b] * scale for b > a: the lanes up to the next whole vector one by one.
  void subtract_scaled(float scale, int64_t a, float* x) const {
    const float* const row = at(a);
    const int64_t whole = std::min(width_, (a + kLanes) / kLanes * kLanes);
    for (int64_t b = a + 1; b < whole; ++b) x[b] -= row[b] * scale;
    add_scaled(-scale, row + whole, x + whole, width_ - whole);
  }

  float dot_beyond(int64_t a, const float* x) const {
    const float* const row = at(a);
    const int64_t whole = std::min(width_, (a + kLanes) / kLanes * kLanes);
    float sum = dot(row + whole, x + whole, width_ - whole);
    for (int64_t b = a + 1; b < whole; ++b) sum += row[b] * x[b];
    return sum;
  }

  int64_t width_ = 0;
  Floats matrix_;
};

}  // namespace tastemaker
