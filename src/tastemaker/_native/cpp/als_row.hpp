// One row of alternating least squares. als.py says what is minimized; here, how.
//
// The fixed factors stand in the basis in which their Gram matrix is diagonal. Dividing factor j by sqrt(spectrum_j + penalty) makes
// the quadratic form of all that was not observed, and of the regularization, the identity. What is left of a row is the smallest
// of ridge regressions,
//
//     minimize |x|^2 + |Z x - c|^2,    z_k = sqrt(w_k) * fixed_k / sqrt(spectrum + penalty),    c_k = (w_k + offset) / sqrt(w_k),
//
// with one row of Z for each interaction: no step has to touch a factors x factors matrix, and conjugate gradients converge in few.
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

// For R rows of Z: out += Z' respond(Z p), where respond takes and gives the R products.
template <int64_t W, int R, class Respond>
[[gnu::always_inline]] inline void pass_rows(const float* z, const float* p, float* out, Respond&& respond) {
  Vector partial[R] = {};
  for (int64_t a = 0; a < W; a += kLanes) {
    const Vector part = load(p + a);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) partial[r] += load(z + r * W + a) * part;
  }
  float products[R];
  if constexpr (R == kLanes) {
    store(products, lane_sums(partial));
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) products[r] = lane_sum(partial[r]);
  }
  respond(products);
  for (int64_t a = 0; a < W; a += kLanes) {
    Vector sum = load(out + a);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum += load(z + r * W + a) * products[r];
    store(out + a, sum);
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
    gathered_ = false;
    penalty = whiten();
    for (int64_t a = 0; a < W; ++a) x_[a] = x[a] * root_[a];
    double loss;
    if (solver_ == Solver::kConjugateGradient) loss = conjugate_gradient();
    else if (solver_ == Solver::kSubspace && row.count <= kMost) loss = subspace();
    else loss = row.count < W ? dual() : primal();
    for (int64_t a = 0; a < W; ++a) x[a] = x_[a] * scale_[a];
    return loss + constant_;
  }

 private:
  static constexpr int64_t kGroup = kLanes, kTail = 4;
  static constexpr int64_t kMost = (int64_t(1) << 21) / W / 64 * 64;  // rows of Z held at once: 8 MiB
  static constexpr int64_t kBlock = std::min<int64_t>(W, 64);          // factors that subspace descent solves together
  static constexpr int64_t kAhead = W <= 64 ? 16 : 8;  // how far ahead to fetch rows: into the next row of the matrix, too

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

  // Rows [first, first + count) of Z and c, at `to` of the scratch; rows up to a multiple of kTail are zero.
  void gather(int64_t first, int64_t count, int64_t to) {
    float* const c = &targets_[to];
    float* const root = &roots_[to];
    for (int64_t k = 0; k < count; ++k) {
      root[k] = std::sqrt(row_.weights[first + k]);
      c[k] = (row_.weights[first + k] + offset_) / root[k];
    }
    float* z = &z_[to * W];
    for (int64_t k = 0; k < count; ++k, z += W) {
      if (first + k + kAhead < row_.readable) prefetch(row_.indices[first + k + kAhead]);
      const float* const from = fixed_.factors + row_.indices[first + k] * W;
      for (int64_t a = 0; a < W; a += kLanes) store(z + a, load(from + a) * load(scale_ + a) * root[k]);
    }
    for (int64_t k = count; k % kTail; ++k, z += W) {
      std::memset(z, 0, sizeof(float) * W);
      c[k] = 0;
    }
  }

  void prefetch(int64_t code) const {
    const char* const line = reinterpret_cast<const char*>(fixed_.factors + code * W);
    for (int64_t byte = 0; byte < int64_t(sizeof(float)) * W; byte += 64) __builtin_prefetch(line + byte);
  }

  void make_room(int64_t rows) {
    if (int64_t(targets_.size()) < rows + kTail) {
      z_.resize((rows + kTail) * W);
      targets_.resize(rows + kTail);
      roots_.resize(rows + kTail);
    }
  }

  // Call visit(rows of Z, their number, where their targets are), Group rows at a time. A row of the matrix that fits is gathered on
  // the first visit and kept; a longer one is gathered again each time, in a scratch of one group.
  template <int64_t Group, class Visit>
  [[gnu::always_inline]] void for_groups(Visit&& visit) {
    const bool keep = row_.count <= kMost;
    make_room(keep ? row_.count : Group);
    for (int64_t k = 0; k < row_.count; k += Group) {
      const int64_t count = std::min(Group, row_.count - k), at = keep ? k : 0;
      if (!gathered_) gather(k, count, at);
      visit(z_.data() + at * W, count, at);
    }
    gathered_ = keep;
  }

  void gather_all() {
    make_room(row_.count);
    gather(0, row_.count, 0);
    gathered_ = true;
  }

  // out += Z' respond(Z p), where respond(products, targets, number) changes the products in place.
  template <class Respond>
  void pass(const float* p, float* out, Respond&& respond) {
    for_groups<kGroup>([&](const float* z, int64_t count, int64_t at) {
      if (count == kGroup) {
        pass_rows<W, kGroup>(z, p, out, [&](float* t) { respond(t, &targets_[at], kGroup); });
        return;
      }
      for (int64_t k = 0; k < count; k += kTail)
        pass_rows<W, kTail>(z + k * W, p, out, [&](float* t) { respond(t, &targets_[at + k], kTail); });
    });
  }

  // residual_ = Z'(c - Z x) - x, which is half the way down the gradient; the loss at x.
  double descend_from_x() {
    double squares = 0;
    std::fill(residual_, residual_ + W, 0.0f);
    pass(x_, residual_, [&](float* t, const float* c, int64_t count) {
      float sum = 0;
      for (int64_t k = 0; k < count; ++k) sum += (t[k] = c[k] - t[k]) * t[k];
      squares += sum;
    });
    for (int64_t a = 0; a < W; ++a) residual_[a] -= x_[a];
    return squares + dot(x_, x_, W);
  }

  double conjugate_gradient() {
    double loss = descend_from_x();
    float rest = dot(residual_, residual_, W);
    std::copy(residual_, residual_ + W, direction_);
    for (int step = 0; step < steps_ && rest > kNothing; ++step) {
      std::copy(direction_, direction_ + W, image_);
      pass(direction_, image_, [](float*, const float*, int64_t) {});
      const float length = rest / dot(direction_, image_, W), before = rest;
      add_scaled(length, direction_, x_, W);
      loss -= double(length) * rest;
      if (step + 1 == steps_) break;
      add_scaled(-length, image_, residual_, W);
      rest = dot(residual_, residual_, W);
      for (int64_t a = 0; a < W; ++a) direction_[a] = residual_[a] + rest / before * direction_[a];
    }
    return loss;
  }

  // More interactions than factors: (I + Z'Z) x = Z'c, and once more for what rounding left.
  double primal() {
    equations_.reset(W);
    for_groups<128>([&](const float* z, int64_t count, int64_t) { equations_.add(z, count, W); });
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
    gather_all();
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
    gather_all();
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

  static constexpr float kNothing = 1e-20f;

  FixedSide fixed_;
  Penalty penalty_;
  float offset_;
  Solver solver_;
  int steps_;
  Entries row_{};
  bool gathered_ = false;
  double constant_ = 0;
  alignas(64) float root_[W], scale_[W], x_[W], residual_[W], direction_[W], image_[W];
  Floats z_, targets_, roots_, transposed_, step_, errors_;
  NormalEquations equations_;
};

}  // namespace tastemaker
