// The output layer over all items with the cross-entropy of its softmax and all gradients: a few rows of logits at a time, which
// never leave the cache.
#include <algorithm>
#include <cmath>
#include <vector>

#include "arrays.hpp"
#include "exponential.hpp"
#include "parallel.hpp"
#include "small_product.hpp"

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

constexpr int64_t kPair = 2 * kLanes;  // items of a panel: the columns of a tile

// The output layer with everything that its stretches of rows share.
struct Layer {
  const float *hidden, *items;
  const int64_t* target;
  int64_t n_items, factors, wide, padded;  // items and factors, filled up to whole panels and vectors
  std::vector<float> panels, rows;         // the items side by side: panels x factors x kPair; and as rows of `wide`

  Layer(const float* hidden, const float* items, const int64_t* target, int64_t n_items, int64_t factors)
      : hidden(hidden), items(items), target(target), n_items(n_items), factors(factors), wide(whole_vectors(factors)),
        padded((n_items + kPair - 1) / kPair * kPair), panels(padded * factors), rows(wide == factors ? 0 : n_items * wide) {
    for (int64_t i = 0; i < n_items; ++i)
      for (int64_t f = 0; f < factors; ++f) panels[(i / kPair * factors + f) * kPair + i % kPair] = items[i * factors + f];
    if (!rows.empty()) copy_wide(items, n_items, rows.data());
  }

  void copy_wide(const float* from, int64_t count, float* to) const {
    for (int64_t i = 0; i < count; ++i) std::copy_n(from + i * factors, factors, to + i * wide);
  }

  // The rows [begin, begin + count): their losses, the gradient of theirs, and what they add to that of the items (rows of `wide`).
  void run(int64_t begin, int64_t count, std::vector<float>& memory, float* loss, float* of_hidden, float* of_items) const {
    memory.assign(count * (padded + 2 * wide), 0.0f);
    float *const logits = memory.data(), *const mine = logits + count * padded, *const out = mine + count * wide;
    copy_wide(hidden + begin * factors, count, mine);
    for (int64_t i = 0; i < padded; i += kPair)
      each(count, [&](int64_t r, int64_t n) {
        product({mine + r * wide, wide, 1}, {&panels[i * factors], kPair}, {logits + r * padded + i, padded}, n, kPair, factors);
      });
    for (int64_t r = 0; r < count; ++r) loss[begin + r] = cross_entropy_row(logits + r * padded, n_items, target[begin + r]);
    const float* const table = rows.empty() ? items : rows.data();
    each(count, [&](int64_t r, int64_t n) {
      product({logits + r * padded, padded, 1}, {table, wide}, {out + r * wide, wide}, n, wide, n_items);
    });
    for (int64_t r = 0; r < count; ++r) std::copy_n(out + r * wide, factors, of_hidden + (begin + r) * factors);
    each(n_items, [&](int64_t i, int64_t n) {
      product({logits + i, 1, padded}, {mine, wide}, {of_items + i * wide, wide}, n, wide, count, true);
    });
  }

  template <class Body>
  static void each(int64_t count, Body&& body) {
    for (int64_t r = 0; r < count; r += kTall) body(r, std::min<int64_t>(kTall, count - r));
  }
};

// The losses of all rows, and the gradients of their sum. The rows are cut into shards by their number alone; what the shards add
// to the gradient of the items is added up in order.
void softmax_layer(Array2<const float> hidden, Array2<const float> items, Array1<const int64_t> targets, Array1<float> losses,
                   Array2<float> of_hidden, Array2<float> of_items, int threads) {
  constexpr int64_t kLogits = 1 << 18, kSums = 1 << 24;  // numbers that are held by one shard, and by all
  const int64_t n = hidden.shape(0), factors = hidden.shape(1), n_items = items.shape(0);
  const Layer layer(hidden.data(), items.data(), targets.data(), n_items, factors);
  const int64_t size = n_items * layer.wide, shards = std::clamp<int64_t>(std::min(n / 256, kSums / size), 1, 8);
  const int64_t step = std::clamp<int64_t>(kLogits / n_items / kTall, 1, 16) * kTall;
  std::vector<float> sums(shards * size);
  float *const loss = losses.data(), *const to = of_hidden.data(), *const total = of_items.data();
  parallel_for(shards, threads, [&](int64_t shard, int) {
    std::vector<float> memory;
    const int64_t end = n * (shard + 1) / shards;
    for (int64_t r = n * shard / shards; r < end; r += step)
      layer.run(r, std::min(step, end - r), memory, loss, to, &sums[shard * size]);
  });
  for (int64_t i = 0; i < n_items; ++i)
    for (int64_t f = 0; f < factors; ++f) {
      float sum = 0.0f;
      for (int64_t shard = 0; shard < shards; ++shard) sum += sums[shard * size + i * layer.wide + f];
      total[i * factors + f] = sum;
    }
}

}  // namespace
}  // namespace tastemaker

void bind_softmax(nanobind::module_& m) {
  using nanobind::arg;
  m.def("softmax_layer", &tastemaker::softmax_layer, arg("hidden"), arg("items"), arg("targets"), arg("losses").noconvert(),
        arg("of_hidden").noconvert(), arg("of_items").noconvert(), arg("threads"));
}
