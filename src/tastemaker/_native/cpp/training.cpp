// What training does beside matrix products, in one pass each: pooled rows of tables and their gradients, dropout, also with ReLU.
// On one thread and in the order of the examples, so that the bits depend on nothing else.
#include <cstdint>
#include <cstring>

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

// out[n] = the sum or the mean of the table's rows that example n has, 0 without any.
void pool_rows(Array2<const float> table, Offsets indptr, Codes ids, Rows rows, Rows without, bool mean,
               Array2<float> out) {
  const int64_t width = table.shape(1);
  std::memset(out.data(), 0, out.size() * sizeof(float));
  for_each_id(indptr, ids, rows, without, [&](int64_t n, int64_t id, int64_t count) {
    add_row(table.data() + id * width, mean ? 1.0f / float(count) : 1.0f, width, out.data() + n * width);
  });
}

// And back: what each of these rows adds to the gradient of the table.
void spread_rows(Array2<const float> gradient, Offsets indptr, Codes ids, Rows rows, Rows without, bool mean,
                 Array2<float> table) {
  const int64_t width = table.shape(1);
  for_each_id(indptr, ids, rows, without, [&](int64_t n, int64_t id, int64_t count) {
    add_row(gradient.data() + n * width, mean ? 1.0f / float(count) : 1.0f, width, table.data() + id * width);
  });
}

// table[ids[n]] += gradient[n].
void add_rows(Array2<const float> gradient, Rows ids, Array2<float> table) {
  const int64_t width = table.shape(1);
  for (size_t n = 0; n < ids.size(); ++n)
    add_row(gradient.data() + int64_t(n) * width, 1.0f, width, table.data() + ids.data()[n] * width);
}

// A number that looks random, from a key and a counter: the finalizer of MurmurHash3 over a Weyl sequence, 32 bits.
inline uint32_t scrambled(uint32_t key, uint32_t counter) {
  uint32_t x = key + counter * 0x9e3779b9u;
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// In place: max(0, x) · scale where 31 random bits are below `keep`, else 0.
void relu_dropout(Array1<float> x, uint32_t key, uint32_t keep, float scale) {
  float* const values = x.data();
  const int64_t n = int64_t(x.size());
  for (int64_t j = 0; j < n; ++j) {
    const float value = values[j] <= 0.0f ? 0.0f : values[j] * scale;  // NaN stays
    values[j] = (scrambled(key, uint32_t(j)) >> 1) < keep ? value : 0.0f;
  }
}

// out = x · scale where 31 random bits are below `keep`, else 0; and the same of the gradient, by the same key.
void dropout(Array1<const float> x, uint32_t key, uint32_t keep, float scale, Array1<float> out) {
  const float* const from = x.data();
  float* const to = out.data();
  const int64_t n = int64_t(out.size());
  for (int64_t j = 0; j < n; ++j) {
    const float scaled = from[j] * scale;
    to[j] = (scrambled(key, uint32_t(j)) >> 1) < keep ? scaled : 0.0f;
  }
}

// The gradient of relu_dropout, from what it gave: 0 where that is 0.
void relu_dropout_gradient(Array1<const float> gradient, Array1<const float> given, float scale, Array1<float> out) {
  const float *from = gradient.data(), *had = given.data();
  float* const to = out.data();
  const int64_t n = int64_t(out.size());
  for (int64_t j = 0; j < n; ++j) {
    const float scaled = from[j] * scale;
    to[j] = had[j] > 0.0f ? scaled : 0.0f;
  }
}

}  // namespace
}  // namespace tastemaker

void bind_training(nanobind::module_& m) {
  using nanobind::arg;
  m.def("pool_rows", &tastemaker::pool_rows, arg("table"), arg("indptr"), arg("ids"), arg("rows"), arg("without"),
        arg("mean"), arg("out").noconvert());
  m.def("spread_rows", &tastemaker::spread_rows, arg("gradient"), arg("indptr"), arg("ids"), arg("rows"),
        arg("without"), arg("mean"), arg("table").noconvert());
  m.def("add_rows", &tastemaker::add_rows, arg("gradient"), arg("ids"), arg("table").noconvert());
  m.def("relu_dropout", &tastemaker::relu_dropout, arg("x").noconvert(), arg("key"), arg("keep"), arg("scale"));
  m.def("dropout", &tastemaker::dropout, arg("x"), arg("key"), arg("keep"), arg("scale"), arg("out").noconvert());
  m.def("relu_dropout_gradient", &tastemaker::relu_dropout_gradient, arg("gradient"), arg("given"), arg("scale"),
        arg("out").noconvert());
}
