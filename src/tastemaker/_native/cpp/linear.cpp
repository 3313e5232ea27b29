// Sparse rows times matrices, for models whose scores are linear in the history; linear.py says what each computes.
// Every sum runs down one row in its own order, so that a row alone and in any batch has the same bits.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "arrays.hpp"
#include "csr.hpp"
#include "lanes.hpp"
#include "parallel.hpp"

namespace nb = nanobind;

namespace tastemaker {
namespace {

constexpr int64_t kColumns = 1024;  // of a sum that is built up in the first-level cache
constexpr int64_t kRows = 64;       // sparse rows to a shard
constexpr int64_t kAhead = 2;       // steps of four matrix rows: asked for before their turn

// sums[c] += values[0] * rows[0][c], then [1], [2], [3]: one chain of multiply-adds a column.
void add_four(const float* const* rows, const float* values, int64_t width, float* sums) {
  const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  const float x = values[0], y = values[1], z = values[2], w = values[3];
  for (int64_t n = 0; n < width; ++n) sums[n] = sums[n] + x * a[n] + y * b[n] + z * c[n] + w * d[n];
}

void add_one(const float* row, float value, int64_t width, float* sums) {
  for (int64_t n = 0; n < width; ++n) sums[n] += value * row[n];
}

void prefetch(const float* row, int64_t width) {
  constexpr int64_t kLine = 16, kLines = 4;  // the hardware goes on from there
  for (int64_t n = 0; n < std::min(width, kLine * kLines); n += kLine) __builtin_prefetch(row + n);
}

// Columns [first, first + width) of the sum for one sparse row.
void sum_columns(const Csr& left, int64_t row, const float* matrix, int64_t columns, int64_t first, int64_t width,
                 float* sums) {
  std::fill_n(sums, width, 0.0f);
  const int64_t end = left.indptr[row + 1];
  const auto line = [&](int64_t e) { return matrix + int64_t(left.indices[e]) * columns + first; };
  int64_t e = left.indptr[row];
  for (; e + 4 <= end; e += 4) {
    for (int64_t p = e + 4 * kAhead; p < std::min(end, e + 4 * kAhead + 4); ++p) prefetch(line(p), width);
    const float* const rows[] = {line(e), line(e + 1), line(e + 2), line(e + 3)};
    add_four(rows, left.values + e, width, sums);
  }
  for (; e < end; ++e) add_one(line(e), left.values[e], width, sums);
}

// Shards go down the rows within a run of columns, so that pieces of popular matrix rows stay in the cache.
void times_dense(Offsets indptr, Codes indices, Values values, Array2<const float> matrix, int threads,
                 Array2<float> out) {
  const Csr left = csr_of(indptr, indices, values);
  const int64_t rows = out.shape(0), columns = out.shape(1);
  const int64_t row_blocks = (rows + kRows - 1) / kRows, column_blocks = (columns + kColumns - 1) / kColumns;
  parallel_for(row_blocks * column_blocks, threads, [&](int64_t shard, int) {
    const int64_t first = shard / row_blocks * kColumns, begin = shard % row_blocks * kRows;
    const int64_t width = std::min(kColumns, columns - first);
    for (int64_t row = begin; row < std::min(begin + kRows, rows); ++row)
      sum_columns(left, row, matrix.data(), columns, first, width, out.data() + row * columns + first);
  });
}

// to[n] = left · rights[n]. Each is LANES sums, and what is left over one by one: the same bits alone or beside others.
template <int N>
void products_of(const float* left, const float* const* rights, int64_t width, float* to) {
  Lanes sums[N] = {};
  const int64_t whole = width / LANES * LANES;
  for (int64_t f = 0; f < whole; f += LANES) {
    const Lanes x = load(left + f);
    for (int n = 0; n < N; ++n) sums[n] += x * load(rights[n] + f);
  }
  for (int n = 0; n < N; ++n) {
    to[n] = sum(sums[n]);
    for (int64_t f = whole; f < width; ++f) to[n] += left[f] * rights[n][f];
  }
}

// Entry e of row r: left[r] · right[indices[e]].
void products_at(Offsets indptr, Codes indices, Array2<const float> left, Array2<const float> right, int threads,
                 Array1<float> out) {
  const int64_t rows = left.shape(0), width = left.shape(1);
  const auto line = [&](int64_t e) { return right.data() + int64_t(indices(e)) * width; };
  parallel_for((rows + kRows - 1) / kRows, threads, [&](int64_t shard, int) {
    for (int64_t row = shard * kRows; row < std::min(shard * kRows + kRows, rows); ++row) {
      const float* const from = left.data() + row * width;
      const int64_t end = indptr(row + 1);
      int64_t e = indptr(row);
      for (; e + 4 <= end; e += 4) {
        for (int64_t p = e + 4; p < std::min(end, e + 8); ++p) prefetch(line(p), width);
        const float* const to[] = {line(e), line(e + 1), line(e + 2), line(e + 3)};
        products_of<4>(from, to, width, out.data() + e);
      }
      for (; e < end; ++e) {
        const float* const to[] = {line(e)};
        products_of<1>(from, to, width, out.data() + e);
      }
    }
  });
}

void times_sparse(Offsets indptr, Codes indices, Values values, Offsets right_indptr, Codes right_indices,
                  Values right_values, int threads, Array2<float> out) {
  const Csr left = csr_of(indptr, indices, values), right = csr_of(right_indptr, right_indices, right_values);
  const int64_t columns = out.shape(1);
  parallel_for(out.shape(0), threads, [&](int64_t row, int) {
    float* const sums = out.data() + row * columns;
    std::fill_n(sums, columns, std::numeric_limits<float>::quiet_NaN());
    for (int64_t e = left.indptr[row]; e < left.indptr[row + 1]; ++e) {
      const int32_t middle = left.indices[e];
      for (int64_t r = right.indptr[middle]; r < right.indptr[middle + 1]; ++r) {
        float& sum = sums[right.indices[r]];
        const float part = left.values[e] * right.values[r];
        sum = std::isnan(sum) ? part : sum + part;
      }
    }
  });
}

// A vector of which few entries are set, with the list of those, in the order in which they were first set.
class SparseVector {
 public:
  void resize(int64_t size) { values_.resize(size), set_.resize(size); }

  void add(int32_t at, float value) {
    if (!set_[at]) set_[at] = true, order_.push_back(at);
    values_[at] += value;
  }

  // Call body(place, value) for each entry that was set, and clear it.
  template <class Body>
  void drain(Body&& body) {
    for (const int32_t at : order_) {
      body(at, values_[at]);
      values_[at] = 0, set_[at] = false;
    }
    order_.clear();
  }

 private:
  std::vector<float> values_;
  std::vector<uint8_t> set_;
  std::vector<int32_t> order_;
};

void add_two_hops(Offsets indptr, Codes indices, Values values, Offsets back_indptr, Codes back_indices,
                  Values back_values, Offsets on_indptr, Codes on_indices, Values on_values, int threads,
                  Array2<float> out) {
  const Csr left = csr_of(indptr, indices, values), back = csr_of(back_indptr, back_indices, back_values),
            on = csr_of(on_indptr, on_indices, on_values);
  const int64_t middle = int64_t(on_indptr.size()) - 1, columns = out.shape(1);
  std::vector<SparseVector> scratch(threads);
  parallel_for(out.shape(0), threads, [&](int64_t row, int thread) {
    SparseVector& reached = scratch[thread];
    reached.resize(middle);
    for (int64_t e = left.indptr[row]; e < left.indptr[row + 1]; ++e)
      for (int64_t b = back.indptr[left.indices[e]]; b < back.indptr[left.indices[e] + 1]; ++b)
        reached.add(back.indices[b], left.values[e] * back.values[b]);
    float* const sums = out.data() + row * columns;
    reached.drain([&](int32_t at, float value) {
      for (int64_t o = on.indptr[at]; o < on.indptr[at + 1]; ++o) sums[on.indices[o]] += value * on.values[o];
    });
  });
}

constexpr int64_t kVectors = 2;  // of queries that go through a sparse matrix together: its entries are read once for all
constexpr int64_t kTogether = kVectors * LANES;

// What each of so many queries has at one item or user.
struct Signal {
  Lanes at[kVectors];
};

// What flows into one item or user from those that its row names, in the order of the row.
Signal inflow(const Csr& rows, int64_t row, const Signal* from) {
  Signal sum{};
  for (int64_t e = rows.indptr[row]; e < rows.indptr[row + 1]; ++e)
    for (int64_t v = 0; v < kVectors; ++v) sum.at[v] += rows.values[e] * from[rows.indices[e]].at[v];
  return sum;
}

// The rows of `signals` from `first` on, as many as there are places for, one lane each; lanes without a row are 0.
void gather(const Array2<float>& signals, int64_t first, std::vector<Signal>& to) {
  const int64_t columns = signals.shape(1), count = std::min(kTogether, int64_t(signals.shape(0)) - first);
  std::fill(to.begin(), to.end(), Signal{});
  for (int64_t begin = 0; begin < columns; begin += LANES)  // so that a cache line of each row is used up at once
    for (int64_t q = 0; q < count; ++q)
      for (int64_t i = begin; i < std::min(begin + LANES, columns); ++i)
        to[i].at[q / LANES][q % LANES] = signals(first + q, i);
}

void scatter(const std::vector<Signal>& from, int64_t first, const Array2<float>& signals) {
  const int64_t columns = signals.shape(1), count = std::min(kTogether, int64_t(signals.shape(0)) - first);
  for (int64_t begin = 0; begin < columns; begin += LANES)
    for (int64_t q = 0; q < count; ++q)
      for (int64_t i = begin; i < std::min(begin + LANES, columns); ++i)
        signals(first + q, i) = from[i].at[q / LANES][q % LANES];
}

// One step of Runge and Kutta of order four for ds/dt = -s XᵀX is the exponential series to its fourth term; by Horner's rule.
void sharpen(Offsets indptr, Codes indices, Values values, Offsets column_indptr, Codes column_indices,
             Values column_values, float time, int threads, Array2<float> signals) {
  const Csr rows = csr_of(indptr, indices, values), columns = csr_of(column_indptr, column_indices, column_values);
  const int64_t users = int64_t(indptr.size()) - 1, items = signals.shape(1);
  struct Scratch {
    std::vector<Signal> start, now, users;
  };
  std::vector<Scratch> scratch(threads);
  parallel_for((int64_t(signals.shape(0)) + kTogether - 1) / kTogether, threads, [&](int64_t shard, int thread) {
    auto& [start, now, between] = scratch[thread];
    start.resize(items), now.resize(items), between.resize(users);
    gather(signals, shard * kTogether, start);
    now = start;
    for (const float term : {4.0f, 3.0f, 2.0f, 1.0f}) {
      for (int64_t u = 0; u < users; ++u) between[u] = inflow(rows, u, now.data());
      for (int64_t i = 0; i < items; ++i) {
        const Signal back = inflow(columns, i, between.data());
        for (int64_t v = 0; v < kVectors; ++v) now[i].at[v] = start[i].at[v] - time / term * back.at[v];
      }
    }
    scatter(now, shard * kTogether, signals);
  });
}

// Row i of XᵀX, from i on: the rows of X in which column i stands, each from column i on.
void add_gram(Offsets indptr, Codes indices, Values values, Offsets column_indptr, Codes column_indices,
              Values column_values, int threads, Array2<float> out) {
  const Csr rows = csr_of(indptr, indices, values), columns = csr_of(column_indptr, column_indices, column_values);
  const int64_t size = out.shape(0);
  parallel_for(size, threads, [&](int64_t i, int) {
    float* const sums = out.data() + i * size;
    for (int64_t c = columns.indptr[i]; c < columns.indptr[i + 1]; ++c) {
      const int64_t row = columns.indices[c], end = rows.indptr[row + 1];
      int64_t e = std::lower_bound(rows.indices + rows.indptr[row], rows.indices + end, int32_t(i)) - rows.indices;
      for (; e < end; ++e) sums[rows.indices[e]] += columns.values[c] * rows.values[e];
    }
  });
}

}  // namespace
}  // namespace tastemaker

void bind_linear(nb::module_& m) {
  m.def("times_dense", &tastemaker::times_dense);
  m.def("products_at", &tastemaker::products_at);
  m.def("times_sparse", &tastemaker::times_sparse);
  m.def("add_two_hops", &tastemaker::add_two_hops);
  m.def("sharpen", &tastemaker::sharpen);
  m.def("add_gram", &tastemaker::add_gram);
}
