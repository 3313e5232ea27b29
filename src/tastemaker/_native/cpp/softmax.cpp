// The cross-entropy of a softmax and its gradient, in place, in two passes over a row that is in the cache.
#include <algorithm>
#include <cmath>

#include "arrays.hpp"
#include "exponential.hpp"
#include "parallel.hpp"

namespace tastemaker {
namespace {

// The numbers of a row from j on that fill no vector, and -inf.
inline Vector tail_of(const float* row, int64_t count) {
  float padded[kLanes];
  std::fill_n(padded, kLanes, -INFINITY);
  std::copy_n(row, count, padded);
  return load(padded);
}

// row becomes softmax(row), less 1 at the target; gives -log of what it was there.
float cross_entropy_row(float* row, int64_t n, int64_t target) {
  const int64_t whole = n / kLanes * kLanes;
  Vector highest = tail_of(row + whole, n - whole);
  for (int64_t j = 0; j < whole; j += kLanes) {
    const Vector x = load(row + j);
    highest = x > highest ? x : highest;
  }
  const float top = highest_of(highest), own = row[target];
  Vector sums = exponential(tail_of(row + whole, n - whole) - top);
  float rest[kLanes];
  store(rest, sums);
  for (int64_t lane = n - whole; lane < kLanes; ++lane) sums[lane] = 0.0f;
  for (int64_t j = 0; j < whole; j += kLanes) {
    const Vector e = exponential(load(row + j) - top);
    store(row + j, e);
    sums += e;
  }
  const float sum = sum_of(sums), share = 1.0f / sum;
  for (int64_t j = 0; j < whole; j += kLanes) store(row + j, load(row + j) * share);
  for (int64_t j = whole; j < n; ++j) row[j] = rest[j - whole] * share;
  row[target] -= 1.0f;
  return std::log(sum) + top - own;
}

// logits: their gradient takes their place; targets: the right column of each row; losses: of each row.
void cross_entropy(Array2<float> logits, Array1<const int64_t> targets, Array1<float> losses, int threads) {
  constexpr int64_t kShard = 16;
  const int64_t rows = logits.shape(0), width = logits.shape(1);
  float *const from = logits.data(), *const to = losses.data();
  const int64_t* const target = targets.data();
  parallel_for((rows + kShard - 1) / kShard, threads, [&](int64_t shard, int) {
    for (int64_t r = shard * kShard; r < std::min((shard + 1) * kShard, rows); ++r)
      to[r] = cross_entropy_row(from + r * width, width, target[r]);
  });
}

}  // namespace
}  // namespace tastemaker

void bind_softmax(nanobind::module_& m) {
  using nanobind::arg;
  m.def("cross_entropy", &tastemaker::cross_entropy, arg("logits").noconvert(), arg("targets"), arg("losses").noconvert(),
        arg("threads"));
}
