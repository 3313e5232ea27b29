#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_sgd(nb::module_&) {}
