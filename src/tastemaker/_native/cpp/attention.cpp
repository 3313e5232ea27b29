// Scaled dot-product attention of sequences packed end to end, and its gradient: no padding, and under the causal mask no work for
// what is masked. Each sequence is computed alone, in an order of its own, so that its bits do not depend on the others.
#include <algorithm>
#include <cmath>
#include <vector>

#include "arrays.hpp"
#include "exponential.hpp"
#include "parallel.hpp"
#include "small_product.hpp"

namespace tastemaker {
namespace {

using Rows = Array1<const int64_t>;
using Memory = std::vector<float>;

// One head of one sequence: its columns in the rows of a packed matrix.
struct Part {
  const float* from;
  int64_t rows, stride, width;
};

// Its numbers as rows of `padded` numbers, filled up with zeros.
void copy_rows(const Part& part, int64_t padded, Memory& to) {
  to.assign(part.rows * padded, 0.0f);
  for (int64_t r = 0; r < part.rows; ++r) std::copy_n(part.from + r * part.stride, part.width, &to[r * padded]);
}

// Its numbers as columns: width x `padded`, filled up with zeros.
void transpose(const Part& part, int64_t padded, Memory& to) {
  to.assign(part.width * padded, 0.0f);
  for (int64_t r = 0; r < part.rows; ++r)
    for (int64_t k = 0; k < part.width; ++k) to[k * padded + r] = part.from[r * part.stride + k];
}

void write_rows(const float* from, int64_t padded, int64_t rows, int64_t width, float* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * padded, width, to + r * stride);
}

// In place the softmax of scale * row[0:seen]; the rest of the row becomes 0.
void softmax(float* row, int64_t seen, int64_t padded, float scale) {
  const int64_t end = whole_vectors(seen);
  std::fill(row + seen, row + end, -INFINITY);
  Vector highest = load(row);
  for (int64_t j = kLanes; j < end; j += kLanes) {
    const Vector x = load(row + j);
    highest = x > highest ? x : highest;
  }
  const float top = highest_of(highest);
  Vector sums = {};
  for (int64_t j = 0; j < end; j += kLanes) {
    const Vector e = exponential((load(row + j) - top) * scale);
    store(row + j, e);
    sums += e;
  }
  std::fill(row + seen, row + padded, 0.0f);
  const float share = 1.0f / sum_of(sums);
  for (int64_t j = 0; j < end; j += kLanes) store(row + j, load(row + j) * share);
}

// Where the weights of each sequence begin: heads x queries x whole vectors of keys.
std::vector<int64_t> starts_of_weights(const Rows& query_ends, const Rows& key_ends, int64_t heads) {
  std::vector<int64_t> starts(query_ends.size());
  for (size_t s = 1; s < query_ends.size(); ++s) {
    const int64_t queries = query_ends(s) - query_ends(s - 1), keys = key_ends(s) - key_ends(s - 1);
    starts[s] = starts[s - 1] + heads * queries * whole_vectors(keys);
  }
  return starts;
}

// Weights and outputs of one head of one sequence. The last query stands at the last key; under the causal mask each sees the keys
// up to its own place.
void attend_part(const Part& query, const Part& key, const Part& value, bool causal, float* weights, float* out, int64_t stride) {
  thread_local Memory keys, values, result;
  const int64_t padded = whole_vectors(key.rows), wide = whole_vectors(key.width), before = key.rows - query.rows;
  const float scale = 1.0f / std::sqrt(float(key.width));
  transpose(key, padded, keys);
  copy_rows(value, wide, values);
  result.resize(query.rows * wide);
  for (int64_t i = 0; i < query.rows; i += kTall) {
    const int64_t rows = std::min<int64_t>(kTall, query.rows - i), seen = causal ? before + i + rows : key.rows;
    float* const own = weights + i * padded;
    product({query.from + i * query.stride, query.stride, 1}, {keys.data(), padded}, {own, padded}, rows, whole_vectors(seen),
            key.width);
    for (int64_t r = 0; r < rows; ++r) softmax(own + r * padded, causal ? before + i + r + 1 : key.rows, padded, scale);
    product({own, padded, 1}, {values.data(), wide}, {&result[i * wide], wide}, rows, wide, seen);
  }
  write_rows(result.data(), wide, query.rows, value.width, out, stride);
}

// Gradients of one head of one sequence that attends to itself, from its weights, its outputs and their gradient.
void attend_part_back(const Part& query, const Part& key, const Part& value, const Part& out, const Part& gradient, bool causal,
                      const float* weights, float* to_query, float* to_key, float* to_value, int64_t stride) {
  thread_local Memory keys, values, queries, gradients, scores, result;
  const int64_t n = key.rows, padded = whole_vectors(n), wide = whole_vectors(key.width);
  const float scale = 1.0f / std::sqrt(float(key.width));
  copy_rows(query, wide, queries);
  copy_rows(key, wide, keys);
  transpose(value, padded, values);
  copy_rows(gradient, wide, gradients);
  scores.resize(n * padded);
  result.resize(n * wide);
  for (int64_t i = 0; i < n; i += kTall) {
    const int64_t rows = std::min<int64_t>(kTall, n - i), seen = causal ? i + rows : n, end = whole_vectors(seen);
    product({&gradients[i * wide], wide, 1}, {values.data(), padded}, {&scores[i * padded], padded}, rows, end, key.width);
    for (int64_t r = i; r < i + rows; ++r) {
      float common = 0.0f;
      for (int64_t k = 0; k < key.width; ++k) common += out.from[r * out.stride + k] * gradients[r * wide + k];
      for (int64_t j = 0; j < end; j += kLanes)
        store(&scores[r * padded + j], load(weights + r * padded + j) * (load(&scores[r * padded + j]) - common) * scale);
    }
    product({&scores[i * padded], padded, 1}, {keys.data(), wide}, {&result[i * wide], wide}, rows, wide, seen);
  }
  write_rows(result.data(), wide, n, key.width, to_query, stride);
  const auto columns_into = [&](const float* matrix, const Memory& rows_of, float* to) {
    for (int64_t j = 0; j < n; j += kTall) {
      const int64_t rows = std::min<int64_t>(kTall, n - j), first = causal ? j : 0;
      product({matrix + first * padded + j, 1, padded}, {&rows_of[first * wide], wide}, {&result[j * wide], wide}, rows, wide, n - first);
    }
    write_rows(result.data(), wide, n, key.width, to, stride);
  };
  columns_into(scores.data(), queries, to_key);
  columns_into(weights, gradients, to_value);
}

// out[i] = sum over j of weights[i, j] * value[j], with weights[i] = softmax over j of <query[i], key[j]> / sqrt(width), for each
// head of each sequence. queries: rows that begin with the queries; keys: rows that end with the keys and then the values; ends:
// where the rows of each sequence end, after a 0. weights: as many as starts_of_weights says, or none: they are not kept.
void attend(Array2<const float> queries, Rows query_ends, Array2<const float> keys, Rows key_ends, int64_t heads, bool causal,
            int threads, Array1<float> weights, Array2<float> out) {
  const int64_t factors = out.shape(1), width = factors / heads, wide = keys.shape(1), sequences = int64_t(query_ends.size()) - 1;
  const float *query = queries.data(), *key = keys.data() + wide - 2 * factors;
  const int64_t *query_end = query_ends.data(), *key_end = key_ends.data(), query_stride = queries.shape(1);
  const std::vector<int64_t> starts = weights.size() ? starts_of_weights(query_ends, key_ends, heads) : std::vector<int64_t>();
  float *const kept = weights.data(), *const to = out.data();
  parallel_for(sequences, threads, [&](int64_t s, int) {
    const int64_t q = query_end[s], k = key_end[s], n = query_end[s + 1] - q, m = key_end[s + 1] - k;
    Memory own(starts.empty() ? n * whole_vectors(m) : 0);
    for (int64_t h = 0; h < heads; ++h) {
      const float* const from = key + k * wide + h * width;
      float* const into = starts.empty() ? own.data() : kept + starts[s] + h * n * whole_vectors(m);
      attend_part({query + q * query_stride + h * width, n, query_stride, width}, {from, m, wide, width},
                  {from + factors, m, wide, width}, causal, into, to + q * factors + h * width, factors);
    }
  });
}

// The gradient of it where the sequences attend to themselves, from rows of queries, keys and values side by side.
void attend_back(Array2<const float> rows, Rows ends, int64_t heads, bool causal, int threads, Array1<const float> weights,
                 Array2<const float> out, Array2<const float> gradient, Array2<float> to) {
  const int64_t factors = out.shape(1), width = factors / heads, wide = 3 * factors;
  const std::vector<int64_t> starts = starts_of_weights(ends, ends, heads);
  const float *row = rows.data(), *kept = weights.data(), *given = out.data(), *back = gradient.data();
  const int64_t* end = ends.data();
  float* const result = to.data();
  parallel_for(int64_t(ends.size()) - 1, threads, [&](int64_t s, int) {
    const int64_t first = end[s], n = end[s + 1] - first;
    for (int64_t h = 0; h < heads; ++h) {
      const auto part = [&](const float* from, int64_t stride) {
        return Part{from + first * stride + h * width, n, stride, width};
      };
      float* const into = result + first * wide + h * width;
      attend_part_back(part(row, wide), part(row + factors, wide), part(row + 2 * factors, wide), part(given, factors),
                       part(back, factors), causal, kept + starts[s] + h * n * whole_vectors(n), into, into + factors,
                       into + 2 * factors, wide);
    }
  });
}

}  // namespace
}  // namespace tastemaker

void bind_attention(nanobind::module_& m) {
  using nanobind::arg;
  m.attr("lanes") = tastemaker::kLanes;
  m.def("attend", &tastemaker::attend, arg("queries"), arg("query_ends"), arg("keys"), arg("key_ends"), arg("heads"), arg("causal"),
        arg("threads"), arg("weights").noconvert(), arg("out").noconvert());
  m.def("attend_back", &tastemaker::attend_back, arg("rows"), arg("ends"), arg("heads"), arg("causal"), arg("threads"),
        arg("weights"), arg("out"), arg("gradient"), arg("to").noconvert());
}
