// The shapes of arrays that cross from NumPy. All are C-contiguous and on the CPU; the Python face sees to that.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <cstdint>
#include <tuple>

namespace tastemaker {

template <class T>
using Array1 = nanobind::ndarray<T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Array2 = nanobind::ndarray<T, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Array3 = nanobind::ndarray<T, nanobind::ndim<3>, nanobind::c_contig, nanobind::device::cpu>;

// Lists of codes: indptr, indices. An empty indptr: there are none.
using CsrArrays = std::tuple<Array1<const int64_t>, Array1<const int32_t>>;

// Ranked lists: items, scores, counts, removed.
using ListArrays = std::tuple<Array2<int32_t>, Array2<float>, Array1<int32_t>, Array2<int32_t>>;

}  // namespace tastemaker
