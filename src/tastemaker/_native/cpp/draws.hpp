// Random numbers that depend on a key and a counter alone: whoever draws number n, on whichever thread, draws the same.
#pragma once

#include <cstdint>

namespace tastemaker {

// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Number n of the draws of a key: 64 random bits.
inline uint64_t draw_bits(uint64_t key, uint64_t n) { return mix(key + (n + 1) * 0x9e3779b97f4a7c15u); }

// One of 0 .. size - 1, from 64 random bits.
inline uint64_t place_of(uint64_t bits, uint64_t size) { return uint64_t((unsigned __int128)(bits)*size >> 64); }

}  // namespace tastemaker
