// Training on a graph of users and items: embeddings smoothed over it, comparisons drawn, and their gradient; graph.py says what
// each computes. Every row is summed in its own order, so that the bits do not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "arrays.hpp"
#include "draws.hpp"
#include "lanes.hpp"
#include "parallel.hpp"

namespace tastemaker {
namespace {

using Offsets = Array1<const int64_t>;
using Codes = Array1<const int32_t>;

constexpr int64_t kRows = 128;   // nodes to a shard
constexpr int64_t kAhead = 16;   // neighbours that are fetched before they are needed
constexpr int kVectors = 4;      // of a row that are summed in registers at once
constexpr int64_t kLine = 16;    // numbers in a cache line

inline void fetch(const float* row, int64_t width) {
  for (int64_t f = 0; f < width; f += kLine) __builtin_prefetch(row + f);
}

// Rows of vectors, padded to whole lanes.
struct Rows {
  int64_t stride;
  std::vector<float> numbers;

  Rows(int64_t rows, int64_t width) : stride((width + LANES - 1) / LANES * LANES), numbers(rows * stride) {}
  float* operator[](int64_t row) { return numbers.data() + row * stride; }
  const float* operator[](int64_t row) const { return numbers.data() + row * stride; }
};

struct Neighbors {
  const int64_t* indptr;
  const int32_t* indices;
};

// V vectors, from `column` on, of the sum of what the neighbours of a node have. The entries of the next nodes follow its own.
template <int V>
void sum_neighbors(const Neighbors& graph, int64_t node, int64_t last, const Rows& from, int64_t column, float* to) {
  Lanes sums[V] = {};
  for (int64_t e = graph.indptr[node]; e < graph.indptr[node + 1]; ++e) {
    if (e + kAhead < last) fetch(from[graph.indices[e + kAhead]] + column, V * LANES);
    const float* const row = from[graph.indices[e]] + column;
    for (int v = 0; v < V; ++v) sums[v] += load(row + v * LANES);
  }
  for (int v = 0; v < V; ++v) store(to + v * LANES, sums[v]);
}

void sum_neighbors(const Neighbors& graph, int64_t node, int64_t last, const Rows& from, float* to) {
  int64_t column = 0;
  for (; column + kVectors * LANES <= from.stride; column += kVectors * LANES)
    sum_neighbors<kVectors>(graph, node, last, from, column, to + column);
  for (; column < from.stride; column += LANES) sum_neighbors<1>(graph, node, last, from, column, to + column);
}

// out = the mean of D^-1/2 A D^-1/2 to the powers 0 .. layers, times the table. Between layers stands D^-1/2 times each: then a layer
// is a plain sum over neighbours, and one division by the degree.
void smooth(Offsets indptr, Codes indices, Array2<const float> table, int64_t layers, int threads, Array2<float> out) {
  const int64_t nodes = table.shape(0), width = table.shape(1), shards = (nodes + kRows - 1) / kRows;
  const Neighbors graph{indptr.data(), indices.data()};
  const int64_t last = int64_t(indices.size());
  const auto degree = [&](int64_t node) { return float(graph.indptr[node + 1] - graph.indptr[node]); };
  Rows now(nodes, width), next(nodes, width);
  const float share = 1.0f / float(layers + 1);
  const auto for_each = [&](auto&& body) {
    parallel_for(shards, threads, [&](int64_t shard, int) {
      for (int64_t node = shard * kRows; node < std::min(nodes, shard * kRows + kRows); ++node) body(node);
    });
  };
  for_each([&](int64_t node) {
    const float scale = degree(node) > 0 ? 1 / std::sqrt(degree(node)) : 0.0f;
    const float* const from = &table(node, 0);
    float *const to = now[node], *const total = &out(node, 0);
    for (int64_t f = 0; f < width; ++f) {
      to[f] = scale * from[f];
      total[f] = share * from[f];
    }
  });
  for (int64_t layer = 1; layer <= layers; ++layer) {
    for_each([&](int64_t node) {
      if (graph.indptr[node] == graph.indptr[node + 1]) return;
      float *const to = next[node], *const total = &out(node, 0);
      sum_neighbors(graph, node, last, now, to);
      const float inverse = 1 / degree(node), scale = share * std::sqrt(inverse);
      for (int64_t f = 0; f < width; ++f) total[f] += scale * to[f];
      for (int64_t f = 0; f < width; ++f) to[f] *= inverse;
    });
    std::swap(now, next);
  }
}

constexpr uint64_t kTries = 64;

// Comparisons number `first` and on: a user, one of the user's items and one of the pool that is none.
void draw_comparisons(Offsets indptr, Codes items, Codes users, Codes pool, uint64_t key, int64_t first, int threads,
                      Array2<int32_t> out) {
  constexpr int64_t kDraws = 4096;
  const int64_t count = out.shape(0);
  parallel_for((count + kDraws - 1) / kDraws, threads, [&](int64_t shard, int) {
    for (int64_t n = shard * kDraws; n < std::min(count, shard * kDraws + kDraws); ++n) {
      const uint64_t start = uint64_t(first + n) * (kTries + 2);
      const int32_t user = users(place_of(draw_bits(key, start), users.size()));
      const int32_t *const begin = items.data() + indptr(user), *const end = items.data() + indptr(user + 1);
      const int32_t positive = begin[place_of(draw_bits(key, start + 1), end - begin)];
      int32_t negative = positive;
      for (uint64_t t = 0; t < kTries && negative == positive; ++t) {
        const int32_t drawn = pool(place_of(draw_bits(key, start + 2 + t), pool.size()));
        if (!std::binary_search(begin, end, drawn)) negative = drawn;
      }
      out(n, 0) = user;
      out(n, 1) = positive;
      out(n, 2) = negative;
    }
  });
}

constexpr int64_t kTriples = 1024;  // to a shard
constexpr int64_t kComing = 4;      // triples whose rows are fetched before they are needed

struct Triple {
  int32_t user, positive, negative;
};

inline void fetch(const Array2<const float>& table, const Triple& triple, int64_t width) {
  for (const int32_t row : {triple.user, triple.positive, triple.negative}) fetch(&table(row, 0), width);
}

// x = u · (j - i), and its loss log(1 + e^x); the slope is σ(x).
double loss_of(const Array2<const float>& table, const Triple& triple, int64_t width, float* slope) {
  const float *u = &table(triple.user, 0), *i = &table(triple.positive, 0), *j = &table(triple.negative, 0);
  Lanes sums{};
  const int64_t whole = width / LANES * LANES;
  for (int64_t f = 0; f < whole; f += LANES) sums += load(u + f) * (load(j + f) - load(i + f));
  float x = sum(sums);
  for (int64_t f = whole; f < width; ++f) x += u[f] * (j[f] - i[f]);
  const float e = std::exp(-std::abs(x));
  *slope = (x > 0 ? 1.0f : e) / (1 + e);
  return std::max(x, 0.0f) + std::log1p(e);
}

// The mean of log(1 + e^(u · (j - i))) over triples of rows of the table, and its gradient by the table. Of the gradient each thread
// has columns of its own, and adds to them in the order of the triples.
double compare(Array2<const float> table, Array2<const int32_t> triples, int threads, Array2<float> gradient) {
  const int64_t count = triples.shape(0), width = table.shape(1), shards = (count + kTriples - 1) / kTriples;
  const Triple* const triple = reinterpret_cast<const Triple*>(triples.data());
  std::vector<float> slopes(count);
  std::vector<double> losses(shards);
  parallel_for(shards, threads, [&](int64_t shard, int) {
    const int64_t end = std::min(count, shard * kTriples + kTriples);
    for (int64_t n = shard * kTriples; n < end; ++n) {
      if (n + kComing < count) fetch(table, triple[n + kComing], width);
      losses[shard] += loss_of(table, triple[n], width, &slopes[n]);
    }
  });
  const int64_t lines = (width + LANES - 1) / LANES, slices = std::min<int64_t>(threads, lines);
  parallel_for(slices, threads, [&](int64_t slice, int) {
    const int64_t begin = slice * lines / slices * LANES, end = std::min(width, (slice + 1) * lines / slices * LANES);
    for (size_t row = 0; row < gradient.shape(0); ++row) std::fill(&gradient(row, 0) + begin, &gradient(row, 0) + end, 0.0f);
    for (int64_t n = 0; n < count; ++n) {
      if (n + kComing < count) {
        const Triple& coming = triple[n + kComing];
        for (const int32_t row : {coming.user, coming.positive, coming.negative}) {
          fetch(&table(row, 0) + begin, end - begin);
          fetch(&gradient(row, 0) + begin, end - begin);
        }
      }
      const auto [user, positive, negative] = triple[n];
      const float slope = slopes[n] / float(count);
      const float *u = &table(user, 0), *i = &table(positive, 0), *j = &table(negative, 0);
      float *to_u = &gradient(user, 0), *to_i = &gradient(positive, 0), *to_j = &gradient(negative, 0);
      for (int64_t f = begin; f < end; ++f) {
        const float pull = slope * u[f];
        to_u[f] += slope * (j[f] - i[f]);
        to_i[f] -= pull;
        to_j[f] += pull;
      }
    }
  });
  double total = 0;
  for (const double loss : losses) total += loss;
  return total / double(std::max<int64_t>(1, count));
}

}  // namespace
}  // namespace tastemaker

void bind_graph(nanobind::module_& m) {
  using nanobind::arg;
  m.def("smooth", &tastemaker::smooth, arg("indptr"), arg("indices"), arg("table"), arg("layers"), arg("threads"),
        arg("out").noconvert());
  m.def("draw_comparisons", &tastemaker::draw_comparisons, arg("indptr"), arg("items"), arg("users"), arg("pool"), arg("key"),
        arg("first"), arg("threads"), arg("out").noconvert());
  m.def("compare", &tastemaker::compare, arg("table"), arg("triples"), arg("threads"), arg("gradient").noconvert());
}
