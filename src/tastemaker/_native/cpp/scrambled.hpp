// Numbers that look random, told from a key and a counter alone: no state, any order, any thread.
#pragma once

#include <cstdint>

namespace tastemaker {

// The finalizer of MurmurHash3 over a Weyl sequence, 32 bits.
inline uint32_t scrambled(uint32_t key, uint32_t counter) {
  uint32_t x = key + counter * 0x9e3779b9u;
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16);
}

}  // namespace tastemaker
