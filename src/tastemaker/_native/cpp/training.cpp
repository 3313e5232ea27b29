// What training does with embeddings, in one pass each: rows of tables and their gradients, products of every two fields.
// On one thread and in the order of the examples, so that the bits depend on nothing else.
#include <algorithm>
#include <cstdint>

#include "csr.hpp"

namespace tastemaker {
namespace {

using Rows = Array1<const int64_t>;

// The values of example n: those of its row, without without[n].
template <class Body>
void for_each_id(const Offsets& indptr, const Codes& ids, const Rows& rows, const Rows& without, Body&& body) {
  for (size_t n = 0; n < rows.size(); ++n) {
    const int64_t row = rows.data()[n], begin = indptr.data()[row], end = indptr.data()[row + 1];
    const int64_t skip = without.size() ? without.data()[n] : -1;
    int64_t count = 0;
    for (int64_t e = begin; e < end; ++e) count += ids.data()[e] != skip;
    for (int64_t e = begin; e < end; ++e)
      if (ids.data()[e] != skip) body(int64_t(n), int64_t(ids.data()[e]), count);
  }
}

inline void add_row(const float* from, float scale, int64_t width, float* to) {
  for (int64_t k = 0; k < width; ++k) to[k] += scale * from[k];
}

// out[n][f] = table[ids[n][f]]; the fields of out that are left are others'.
void take_rows(Array2<const float> table, Array2<const int64_t> ids, Array3<float> out) {
  const int64_t width = table.shape(1), fields = ids.shape(1), step = out.shape(1) * width;
  const int64_t* id = ids.data();
  for (int64_t n = 0; n < int64_t(ids.shape(0)); ++n)
    for (int64_t f = 0; f < fields; ++f) std::copy_n(table.data() + *id++ * width, width, out.data() + n * step + f * width);
}

// And back: table[ids[n][f]] += gradient[n][f].
void add_rows(Array3<const float> gradient, Array2<const int64_t> ids, Array2<float> table) {
  const int64_t width = table.shape(1), fields = ids.shape(1), step = gradient.shape(1) * width;
  const int64_t* id = ids.data();
  for (int64_t n = 0; n < int64_t(ids.shape(0)); ++n)
    for (int64_t f = 0; f < fields; ++f) add_row(gradient.data() + n * step + f * width, 1.0f, width, table.data() + *id++ * width);
}

// out[n][field] = the sum or the mean of the table's rows that example n has, 0 without any.
void pool_rows(Array2<const float> table, Offsets indptr, Codes ids, Rows rows, Rows without, bool mean,
               Array3<float> out, int64_t field) {
  const int64_t width = table.shape(1), step = out.shape(1) * width;
  float* const to = out.data() + field * width;
  for (size_t n = 0; n < rows.size(); ++n) std::fill_n(to + int64_t(n) * step, width, 0.0f);
  for_each_id(indptr, ids, rows, without, [&](int64_t n, int64_t id, int64_t count) {
    add_row(table.data() + id * width, mean ? 1.0f / float(count) : 1.0f, width, to + n * step);
  });
}

// And back: what each of these rows adds to the gradient of the table.
void spread_rows(Array3<const float> gradient, int64_t field, Offsets indptr, Codes ids, Rows rows, Rows without,
                 bool mean, Array2<float> table) {
  const int64_t width = table.shape(1), step = gradient.shape(1) * width;
  const float* const from = gradient.data() + field * width;
  for_each_id(indptr, ids, rows, without, [&](int64_t n, int64_t id, int64_t count) {
    add_row(from + n * step, mean ? 1.0f / float(count) : 1.0f, width, table.data() + id * width);
  });
}

// sums[n] = the inner products of every two of the vectors of example n, totals[n] = the sum of these vectors.
void pair_sums(Array3<const float> vectors, Array1<float> sums, Array2<float> totals) {
  const int64_t fields = vectors.shape(1), width = vectors.shape(2);
  const float* vector = vectors.data();
  for (int64_t n = 0; n < int64_t(vectors.shape(0)); ++n) {
    float* const total = totals.data() + n * width;
    std::fill_n(total, width, 0.0f);
    float squares = 0.0f, square = 0.0f;
    for (int64_t f = 0; f < fields; ++f, vector += width)
      for (int64_t k = 0; k < width; ++k) {
        total[k] += vector[k];
        squares += vector[k] * vector[k];
      }
    for (int64_t k = 0; k < width; ++k) square += total[k] * total[k];
    sums.data()[n] = 0.5f * (square - squares);
  }
}

// Its gradient: that of a vector is the sum of the others.
void pair_sums_gradient(Array3<const float> vectors, Array2<const float> totals, Array1<const float> gradient,
                        Array3<float> out) {
  const int64_t fields = vectors.shape(1), width = vectors.shape(2);
  const float* vector = vectors.data();
  float* to = out.data();
  for (int64_t n = 0; n < int64_t(vectors.shape(0)); ++n) {
    const float *const total = totals.data() + n * width, g = gradient.data()[n];
    for (int64_t f = 0; f < fields; ++f, vector += width, to += width)
      for (int64_t k = 0; k < width; ++k) to[k] = g * (total[k] - vector[k]);
  }
}

}  // namespace
}  // namespace tastemaker

void bind_training(nanobind::module_& m) {
  using nanobind::arg;
  m.def("take_rows", &tastemaker::take_rows, arg("table"), arg("ids"), arg("out").noconvert());
  m.def("add_rows", &tastemaker::add_rows, arg("gradient"), arg("ids"), arg("table").noconvert());
  m.def("pool_rows", &tastemaker::pool_rows, arg("table"), arg("indptr"), arg("ids"), arg("rows"), arg("without"),
        arg("mean"), arg("out").noconvert(), arg("field"));
  m.def("spread_rows", &tastemaker::spread_rows, arg("gradient"), arg("field"), arg("indptr"), arg("ids"), arg("rows"),
        arg("without"), arg("mean"), arg("table").noconvert());
  m.def("pair_sums", &tastemaker::pair_sums, arg("vectors"), arg("sums").noconvert(), arg("totals").noconvert());
  m.def("pair_sums_gradient", &tastemaker::pair_sums_gradient, arg("vectors"), arg("totals"), arg("gradient"),
        arg("out").noconvert());
}
