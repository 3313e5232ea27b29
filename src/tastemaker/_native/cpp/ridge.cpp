// One small ridge regression a query, by Cholesky factorization in float64. ridge.py says what it computes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cmath>
#include <vector>

#include "parallel.hpp"

namespace tastemaker {
namespace {

// The normal equations (gram + penalty) x = right of one query, solved in place. Only the upper triangle of gram is used.
class Equations {
 public:
  explicit Equations(int64_t width) : width_(width), gram_(width * width), right_(width) {}

  void clear() {
    std::fill(gram_.begin(), gram_.end(), 0.0);
    std::fill(right_.begin(), right_.end(), 0.0);
  }

  void add(const float* row, double target, double weight) {
    for (int64_t a = 0; a < width_; ++a) {
      const double scaled = weight * row[a];
      double* const line = &gram_[a * width_];
      for (int64_t b = a; b < width_; ++b) line[b] += scaled * row[b];
      right_[a] += scaled * target;
    }
  }

  void add_penalty(double penalty) {
    for (int64_t a = 0; a < width_; ++a) gram_[a * width_ + a] += penalty;
  }

  // gram = C'C with C upper triangular, then C'y = right and Cx = y; every inner loop runs along a line.
  const std::vector<double>& solve() {
    for (int64_t a = 0; a < width_; ++a) {
      double* const line = &gram_[a * width_];
      const double inverse = 1 / std::sqrt(line[a]);
      for (int64_t b = a; b < width_; ++b) line[b] *= inverse;
      right_[a] /= line[a];
      for (int64_t b = a + 1; b < width_; ++b) {
        double* const below = &gram_[b * width_];
        for (int64_t c = b; c < width_; ++c) below[c] -= line[b] * line[c];
        right_[b] -= line[b] * right_[a];
      }
    }
    for (int64_t a = width_ - 1; a >= 0; --a) {
      for (int64_t b = a + 1; b < width_; ++b) right_[a] -= gram_[a * width_ + b] * right_[b];
      right_[a] /= gram_[a * width_ + a];
    }
    return right_;
  }

 private:
  int64_t width_;
  std::vector<double> gram_, right_;
};

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

void ridge(Array<const int64_t> indptr, Array<const int32_t> indices, Array<const float> targets, Array<const float> weights,
           Array<const float> rows, double regularization, Array<float> solutions, int threads) {
  const int64_t queries = int64_t(indptr.size()) - 1, width = int64_t(rows.shape(1));
  const int64_t* const start = indptr.data();
  std::vector<Equations> scratch(std::max(1, threads), Equations(width));
  parallel_for(queries, threads, [&](int64_t query, int thread) {
    Equations& equations = scratch[thread];
    equations.clear();
    double weight = 0;
    for (int64_t k = start[query]; k < start[query + 1]; ++k) {
      equations.add(rows.data() + indices.data()[k] * width, targets.data()[k], weights.data()[k]);
      weight += weights.data()[k];
    }
    float* const solution = solutions.data() + query * width;
    if (weight <= 0) return;  // nothing to go by: the zeros that the caller put there
    equations.add_penalty(regularization * weight);
    const std::vector<double>& x = equations.solve();
    for (int64_t a = 0; a < width; ++a) solution[a] = float(x[a]);
  });
}

}  // namespace
}  // namespace tastemaker

void bind_ridge(nanobind::module_& m) { m.def("ridge", &tastemaker::ridge); }
