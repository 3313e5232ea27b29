// Sparse linear models of items by coordinate descent; slim.py says what is minimized.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "arrays.hpp"
#include "csr.hpp"
#include "parallel.hpp"

namespace nb = nanobind;

namespace tastemaker {
namespace {

struct Penalties {
  double l1, l2;
  bool non_negative;

  // The weight of a column of squared norm `norm` whose product with what the others leave unexplained is `product`.
  double best(double product, double norm) const {
    const double shrunk = product > l1 ? product - l1 : product < -l1 && !non_negative ? product + l1 : 0;
    return shrunk == 0 ? 0 : shrunk / (norm + l2);
  }
};

// One item's regression on its candidates. `residual` is dense over users, zero but for those of the item and the candidates.
class Regression {
 public:
  Regression(const Csr& columns, const double* norms, const Penalties& penalties, std::vector<double>& residual)
      : columns_(columns), norms_(norms), penalties_(penalties), residual_(residual) {}

  // Sweep over all candidates; then over those with a weight until they rest; until a full sweep changes nothing much.
  void solve(int32_t item, const int32_t* candidates, int64_t count, double tolerance, int64_t sweeps, float* weights) {
    weights_.assign(count, 0.0);
    add(item, 1.0);
    const double rest = tolerance * std::sqrt(norms_[item]);
    while (sweeps-- > 0 && sweep(candidates, count, false) > rest)
      while (sweeps-- > 0 && sweep(candidates, count, true) > rest) continue;
    clear(item);
    for (int64_t c = 0; c < count; ++c) {
      clear(candidates[c]);
      weights[c] = float(weights_[c]);
    }
  }

 private:
  // The greatest change of what a candidate explains, as the norm of a vector over users.
  double sweep(const int32_t* candidates, int64_t count, bool active) {
    double most = 0;
    for (int64_t c = 0; c < count; ++c) {
      if (active && weights_[c] == 0) continue;
      const int32_t item = candidates[c];
      const double next = penalties_.best(product(item) + norms_[item] * weights_[c], norms_[item]);
      const double change = next - weights_[c];
      if (change == 0) continue;
      add(item, -change);
      weights_[c] = next;
      most = std::max(most, std::abs(change) * std::sqrt(norms_[item]));
    }
    return most;
  }

  double product(int32_t item) const {
    double sum = 0;
    for (int64_t e = columns_.indptr[item]; e < columns_.indptr[item + 1]; ++e)
      sum += double(columns_.values[e]) * residual_[columns_.indices[e]];
    return sum;
  }

  void add(int32_t item, double times) {
    for (int64_t e = columns_.indptr[item]; e < columns_.indptr[item + 1]; ++e)
      residual_[columns_.indices[e]] += times * columns_.values[e];
  }

  void clear(int32_t item) {
    for (int64_t e = columns_.indptr[item]; e < columns_.indptr[item + 1]; ++e) residual_[columns_.indices[e]] = 0;
  }

  const Csr& columns_;
  const double* norms_;
  Penalties penalties_;
  std::vector<double>& residual_;
  std::vector<double> weights_;
};

void slim(Offsets indptr, Codes indices, Values values, int64_t users, Array2<const int32_t> candidates, double l1,
          double l2, bool non_negative, double tolerance, int64_t sweeps, int threads, Array2<float> weights) {
  const Csr columns = csr_of(indptr, indices, values);
  const int64_t items = candidates.shape(0), width = candidates.shape(1);
  std::vector<double> norms(items, 0.0);
  for (int64_t i = 0; i < items; ++i)
    for (int64_t e = columns.indptr[i]; e < columns.indptr[i + 1]; ++e)
      norms[i] += double(columns.values[e]) * columns.values[e];
  std::vector<std::vector<double>> residuals(threads);
  parallel_for(items, threads, [&](int64_t item, int thread) {
    residuals[thread].resize(users);
    const int32_t* const mine = candidates.data() + item * width;
    const int64_t count = std::find(mine, mine + width, -1) - mine;
    Regression(columns, norms.data(), {l1, l2, non_negative}, residuals[thread])
        .solve(int32_t(item), mine, count, tolerance, sweeps, weights.data() + item * width);
  });
}

}  // namespace
}  // namespace tastemaker

void bind_slim(nb::module_& m) { m.def("slim", &tastemaker::slim); }
