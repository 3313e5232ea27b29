// Sparse matrices by rows (CSR), as they cross from NumPy and as the kernels read them.
#pragma once

#include <cstdint>

#include "arrays.hpp"

namespace tastemaker {

using Offsets = Array1<const int64_t>;
using Codes = Array1<const int32_t>;
using Values = Array1<const float>;

struct Csr {
  const int64_t* indptr;
  const int32_t* indices;
  const float* values;
};

inline Csr csr_of(const Offsets& indptr, const Codes& indices, const Values& values) {
  return {indptr.data(), indices.data(), values.data()};
}

}  // namespace tastemaker
