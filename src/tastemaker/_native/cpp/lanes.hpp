// Rows of factors as vectors of LANES floats: GCC and Clang turn each operation into the widest instructions there are.
#pragma once

#include <cstdint>
#include <cstring>

namespace tastemaker {

constexpr int64_t LANES = 16;
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));

inline Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

inline void store(float* to, Lanes lanes) { std::memcpy(to, &lanes, sizeof lanes); }

inline float sum(Lanes lanes) {
  float part[LANES];
  store(part, lanes);
  for (int64_t width = LANES / 2; width > 0; width /= 2) {
    for (int64_t l = 0; l < width; ++l) part[l] += part[l + width];
  }
  return part[0];
}

}  // namespace tastemaker
