// The shapes of arrays that cross from NumPy. All are C-contiguous and on the CPU; the Python face sees to that.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace tastemaker {

template <class T>
using Array1 = nanobind::ndarray<T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Array2 = nanobind::ndarray<T, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Array3 = nanobind::ndarray<T, nanobind::ndim<3>, nanobind::c_contig, nanobind::device::cpu>;

}  // namespace tastemaker
