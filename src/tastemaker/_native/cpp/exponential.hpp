// e^x, vector by vector.
#pragma once

#include "microkernel.hpp"

namespace tastemaker {

// e^x of numbers of at most 0, to about one unit in the last place; below -87 as at -87.
inline Vector exponential(Vector x) {
  x = x > -87.0f ? x : Vector{} - 87.0f;
  constexpr float kRound = 12582912.0f;  // adding it leaves no bits for a fraction
  const Vector n = (x * 1.44269504f + kRound) - kRound;
  const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vector p = Vector{} + 1.9875691500e-4f;
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) p = p * r + c;
  p = (p * r) * r + r + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * reinterpret_cast<Vector>(power);
}

inline float highest_of(Vector x) {
  float top = x[0];
  for (int lane = 1; lane < kLanes; ++lane) top = std::max(top, x[lane]);
  return top;
}

inline float sum_of(Vector x) {
  float sum = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) sum += x[lane];
  return sum;
}

}  // namespace tastemaker
