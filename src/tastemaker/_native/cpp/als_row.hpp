// One row of alternating least squares. als.py says what is minimized; here, how.
//
// The fixed factors stand in the basis in which their Gram matrix is diagonal. Dividing factor j by sqrt(spectrum_j + penalty) makes
// the quadratic form of all that was not observed, and of the regularization, the identity. What is left of a row is the smallest
// of ridge regressions,
//
//     minimize |x|^2 + |Z x - c|^2,    z_k = sqrt(w_k) * fixed_k / sqrt(spectrum + penalty),    c_k = (w_k + offset) / sqrt(w_k),
//
// with one row of Z for each interaction: no step has to touch a factors x factors matrix, and conjugate gradients converge in few. They take the fixed factors from where they lie.
#pragma once

#include <cstring>

#include "normal_equations.hpp"

namespace tastemaker {

enum class Solver { kConjugateGradient, kCholesky, kSubspace };

struct FixedSide {
  const float* factors;
  const float* spectrum;  // unobserved weight times the eigenvalues of the Gram matrix
};

struct Penalty {
  double regularization, exponent, unobserved;  // regularization * (sum of weights + unobserved)^exponent
};

struct Entries {
  const int32_t* indices;
  const float* weights;  // above zero
  int64_t count;
  int64_t readable;  // how many there are from here to the end of all rows
};

constexpr int64_t kGroup = kLanes;  // rows that are taken together
using Rows = const float* [kGroup];  // wherever they lie

// The inner products of the rows with p.
template <int64_t W>
[[gnu::always_inline]] inline void inner_products(const Rows& rows, const float* p, float* products) {
  Vector partial[kGroup] = {};
  for (int64_t a = 0; a < W; a += kLanes) {
    const Vector part = load(p + a);
#pragma GCC unroll 16
    for (int64_t r = 0; r < kGroup; ++r) partial[r] += load(rows[r] + a) * part;
  }
  store(products, lane_sums(partial));
}

// sum += the rows, each times its coefficient.
template <int64_t W>
[[gnu::always_inline]] inline void add_rows(const Rows& rows, const float* coefficients, float* sum) {
  for (int64_t a = 0; a < W; a += kLanes) {
    Vector part = load(sum + a);
#pragma GCC unroll 16
    for (int64_t r = 0; r < kGroup; ++r) part += load(rows[r] + a) * coefficients[r];
    store(sum + a, part);
  }
}

// Scratch for one thread; W is the padded number of factors.
template <int64_t W>
class RowSolver {
 public:
  RowSolver(FixedSide fixed, Penalty penalty, float offset, Solver solver, int steps)
      : fixed_(fixed), penalty_(penalty), offset_(offset), solver_(solver), steps_(steps) {}

  // Improve x, or solve for it exactly; the row's part of the loss afterwards. penalty: to become the factor of |x|^2.
  double solve(Entries row, float* x, double& penalty) {
    row_ = row;
    if (fetched_ < row.indices || fetched_ > row.indices + kGroup + kAhead) fetched_ = row.indices;
    penalty = whiten();
    for (int64_t a = 0; a < W; ++a) x_[a] = x[a] * root_[a];
    const double loss = improve();
    for (int64_t a = 0; a < W; ++a) x[a] = x_[a] * scale_[a];
    return loss + constant_;
  }

 private:
  static constexpr int64_t kGathered = 128;  // rows of Z that are added to the equations at once
  alignas(64) static constexpr float kZeros[W] = {};
  static constexpr int64_t kMost = (int64_t(1) << 21) / W / 64 * 64;  // rows of Z held at once: 8 MiB
  static constexpr int64_t kBlock = std::min<int64_t>(W, 64);          // factors that subspace descent solves together
  static constexpr int64_t kAhead = W <= 64 ? 16 : 8;  // how far ahead to fetch rows: into the next row of the matrix, too

  double improve() {
    if (solver_ == Solver::kConjugateGradient) return conjugate_gradient();
    if (solver_ == Solver::kSubspace && row_.count <= kMost) return subspace();
    return row_.count < W ? dual() : primal();
  }

  // Set the scales of the factors, and what |Zx - c|^2 has more than the loss; the penalty.
  double whiten() {
    const double weight = sum_of([&](int64_t k) { return row_.weights[k]; });
    const double inverse = offset_ ? sum_of([&](int64_t k) { return 1 / row_.weights[k]; }) : 0;
    constant_ = -double(offset_) * (double(row_.count) + offset_ * inverse);  // of w + offset - c^2, summed
    const double exact = penalty_.regularization * std::pow(weight + penalty_.unobserved, penalty_.exponent);
    const float penalty = float(exact);
    for (int64_t a = 0; a < W; ++a) root_[a] = std::sqrt(fixed_.spectrum[a] + penalty);
    for (int64_t a = 0; a < W; ++a) scale_[a] = 1 / root_[a];
    return exact;
  }

  // The sum of value(k) over the interactions, in lanes so that it need not wait for each addition.
  template <class Value>
  double sum_of(Value&& value) const {
    double lanes[8] = {}, sum = 0;
    int64_t k = 0;
    for (; k + 8 <= row_.count; k += 8)
      for (int64_t lane = 0; lane < 8; ++lane) lanes[lane] += value(k + lane);
    for (; k < row_.count; ++k) sum += value(k);
    for (double lane : lanes) sum += lane;
    return sum;
  }

  // Rows [first, first + count) of Z, and c.
  void gather(int64_t first, int64_t count) {
    if (int64_t(targets_.size()) < count) {
      z_.resize(count * W);
      targets_.resize(count);
    }
    float* z = z_.data();
    for (int64_t k = 0; k < count; ++k, z += W) {
      if (first + k + kAhead < row_.readable) prefetch(row_.indices[first + k + kAhead]);
      const float root = std::sqrt(row_.weights[first + k]);
      targets_[k] = (row_.weights[first + k] + offset_) / root;
      const float* const from = fixed_.factors + row_.indices[first + k] * W;
      for (int64_t a = 0; a < W; a += kLanes) store(z + a, load(from + a) * load(scale_ + a) * root);
    }
  }

  // Fetch the rows before `until` that are not yet on their way, into the next row of the matrix, too.
  void fetch(int64_t until) {
    const int32_t* const end = row_.indices + std::min(until, row_.readable);
    for (; fetched_ < end; ++fetched_) prefetch(*fetched_);
  }

  void prefetch(int64_t code) const {
    const char* const line = reinterpret_cast<const char*>(fixed_.factors + code * W);
    for (int64_t byte = 0; byte < int64_t(sizeof(float)) * W; byte += 64) __builtin_prefetch(line + byte);
  }

  // Nothing is gathered for a pass: rows that were just read are near, wherever they lie. The products of the fixed factors with
  // scale * p go to respond(products, weights, number), which turns them into coefficients; out = scale * (the factors by those).
  template <bool Sum, class Respond>
  void pass(const float* p, float* out, Respond&& respond) {
    for (int64_t a = 0; a < W; ++a) scaled_[a] = p[a] * scale_[a];
    std::fill(sum_, sum_ + W, 0.0f);
    int64_t k = 0;
    for (; k + kGroup <= row_.count; k += kGroup) some<Sum>(k, kGroup, respond);
    if (k < row_.count) some<Sum>(k, row_.count - k, respond);
    if constexpr (Sum)
      for (int64_t a = 0; a < W; ++a) out[a] = sum_[a] * scale_[a];
  }

  template <bool Sum, class Respond>
  [[gnu::always_inline]] void some(int64_t first, int64_t count, Respond&& respond) {
    Rows rows;
    float products[kGroup];
    for (int64_t r = 0; r < kGroup; ++r) {
      const int64_t k = first + r;
      rows[r] = r < count ? fixed_.factors + row_.indices[k] * W : kZeros;
    }
    fetch(first + kGroup + kAhead);
    inner_products<W>(rows, scaled_, products);
    respond(products, row_.weights + first, count);
    if constexpr (Sum) add_rows<W>(rows, products, sum_);
  }

  // residual_ = Z'(c - Z x) - x, which is half the way down the gradient; the loss at x.
  double descend_from_x() {
    double squares = 0;
    pass<true>(x_, residual_, [&](float* t, const float* w, int64_t count) {
      float sum = 0;
      for (int64_t k = 0; k < count; ++k) {
        t[k] = w[k] + offset_ - w[k] * t[k];
        sum += t[k] * t[k] / w[k];
      }
      squares += sum;
    });
    for (int64_t a = 0; a < W; ++a) residual_[a] -= x_[a];
    return squares + dot(x_, x_, W);
  }

  double conjugate_gradient() {
    double loss = descend_from_x();
    float rest = dot(residual_, residual_, W);
    std::copy(residual_, residual_ + W, direction_);
    for (int left = steps_; left > 0 && rest > kNothing; --left) {
      const bool last = left == 1;  // which needs no image of the direction, only its length
      const float curvature = last ? image_of_direction<false>() : image_of_direction<true>();
      const float length = rest / (curvature + dot(direction_, direction_, W)), before = rest;
      add_scaled(length, direction_, x_, W);
      loss -= double(length) * rest;
      if (last) break;
      for (int64_t a = 0; a < W; ++a) residual_[a] -= length * (image_[a] + direction_[a]);
      rest = dot(residual_, residual_, W);
      for (int64_t a = 0; a < W; ++a) direction_[a] = residual_[a] + rest / before * direction_[a];
    }
    return loss;
  }

  // |Z direction_|^2; image_ = Z'Z direction_, if wanted.
  template <bool Wanted>
  float image_of_direction() {
    double squares = 0;
    pass<Wanted>(direction_, image_, [&](float* t, const float* w, int64_t count) {
      float sum = 0;
      for (int64_t k = 0; k < count; ++k) {
        const float weighted = w[k] * t[k];
        sum += weighted * t[k];
        t[k] = weighted;
      }
      squares += sum;
    });
    return float(squares);
  }

  // More interactions than factors: (I + Z'Z) x = Z'c, and once more for what rounding left.
  double primal() {
    equations_.reset(W);
    for (int64_t k = 0; k < row_.count; k += kGathered) {
      const int64_t count = std::min(kGathered, row_.count - k);
      gather(k, count);
      equations_.add(z_.data(), count, W);
    }
    equations_.factorize();
    std::fill(x_, x_ + W, 0.0f);
    for (int turn = 0; turn < 2; ++turn) {
      descend_from_x();
      equations_.solve(residual_);
      add_scaled(1, residual_, x_, W);
    }
    return descend_from_x();
  }

  // Fewer: x = Z's with (I + ZZ') s = c, and once more for what rounding left.
  double dual() {
    const int64_t n = row_.count, width = padded(n);
    gather(0, row_.count);
    transpose(n, width);
    equations_.reset(n);
    equations_.add(transposed_.data(), W, width);
    equations_.factorize();
    std::fill(x_, x_ + W, 0.0f);
    errors_.assign(n, 0.0f);
    step_.assign(width, 0.0f);
    for (int turn = 0; turn < 2; ++turn) {
      for (int64_t k = 0; k < n; ++k) step_[k] = targets_[k] - errors_[k] - dot(&z_[k * W], x_, W);
      equations_.solve(step_.data());
      for (int64_t k = 0; k < n; ++k) {
        errors_[k] += step_[k];
        add_scaled(step_[k], &z_[k * W], x_, W);
      }
    }
    return descend_from_x();
  }

  void transpose(int64_t n, int64_t width) {
    transposed_.assign(W * width, 0.0f);
    for (int64_t k = 0; k < n; ++k)
      for (int64_t a = 0; a < W; ++a) transposed_[a * width + k] = z_[k * W + a];
  }

  // iALS++: one block of factors after another, each solved exactly with the others as they are.
  double subspace() {
    gather(0, row_.count);
    const int64_t n = row_.count;
    errors_.resize(n);
    for (int64_t k = 0; k < n; ++k) errors_[k] = targets_[k] - dot(&z_[k * W], x_, W);
    for (int64_t b = 0; b < W; b += kBlock) {
      const int64_t width = std::min(kBlock, W - b);
      for (int64_t a = 0; a < width; ++a) residual_[a] = -x_[b + a];
      for (int64_t k = 0; k < n; ++k) add_scaled(errors_[k], &z_[k * W + b], residual_, width);
      equations_.reset(width);
      equations_.add(&z_[b], n, W);
      equations_.factorize();
      equations_.solve(residual_);
      add_scaled(1, residual_, x_ + b, width);
      for (int64_t k = 0; k < n; ++k) errors_[k] -= dot(&z_[k * W + b], residual_, width);
    }
    double loss = dot(x_, x_, W);
    for (float error : errors_) loss += double(error) * error;
    return loss;
  }

  const int32_t* fetched_ = nullptr;  // up to here
  static constexpr float kNothing = 1e-20f;

  FixedSide fixed_;
  Penalty penalty_;
  float offset_;
  Solver solver_;
  int steps_;
  Entries row_{};
  double constant_ = 0;
  alignas(64) float root_[W], scale_[W], x_[W], residual_[W], direction_[W], image_[W], scaled_[W], sum_[W];
  Floats z_, targets_, transposed_, step_, errors_;
  NormalEquations equations_;
};

}  // namespace tastemaker
