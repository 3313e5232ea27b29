// Dropout in training; dropout.py says what it computes. On one thread: it is a pass over memory.
#include <cstdint>

#include "arrays.hpp"
#include "scrambled.hpp"

namespace tastemaker {
namespace {

// out = x · scale where 31 random bits are below `keep`, else 0.
void dropout(Array1<const float> x, uint32_t key, uint32_t keep, float scale, Array1<float> out) {
  const float* const from = x.data();
  float* const to = out.data();
  const int64_t n = int64_t(out.size());
  for (int64_t j = 0; j < n; ++j) {
    const float scaled = from[j] * scale;
    to[j] = (scrambled(key, uint32_t(j)) >> 1) < keep ? scaled : 0.0f;
  }
}

}  // namespace
}  // namespace tastemaker

void bind_dropout(nanobind::module_& m) {
  using nanobind::arg;
  m.def("dropout", &tastemaker::dropout, arg("x"), arg("key"), arg("keep"), arg("scale"), arg("out").noconvert());
}
