// Adam over the rows of a table that a step looks up; touched.py says what it computes.
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "arrays.hpp"

namespace tastemaker {
namespace {

using Rows = Array1<const int64_t>;

constexpr size_t kAhead = 8;  // rows that are fetched before they are needed
constexpr int64_t kLine = 16;  // numbers in a cache line

// Ask for what a step will read of a row that comes later: rows are scattered over more memory than is near.
void fetch(int64_t row, const Array2<float>& table, const Array2<float>& means, const Array2<float>& squares) {
  const int64_t width = table.shape(1), from = row * width;
  for (int64_t f = 0; f < width; f += kLine) {
    __builtin_prefetch(table.data() + from + f, 1);
    __builtin_prefetch(means.data() + from + f, 1);
    __builtin_prefetch(squares.data() + from + f, 1);
  }
}

// Make the moves that rows have missed since they were last looked up, and copy them.
void take_rows(Rows rows, Array2<float> table, Array2<float> means, Array2<float> squares, Array1<int64_t> last,
               Array1<const float> still, Array1<const float> eps, int64_t steps, double rate, double first, double second,
               Array2<float> taken) {
  const int64_t width = table.shape(1), end = int64_t(still.size()) - 1;
  const double log_first = std::log(first), log_second = std::log(second), log_ratio = log_first - log_second / 2;
  const auto settle = [&](int64_t row) {
    const int64_t since = std::exchange(last(row), steps);
    if (since == steps || since == 0) return;  // no move missed, or no gradient yet
    const double idle = double(steps - since);
    const int64_t at = std::min(since, end), now = std::min(steps, end);
    const float move = float(rate * (still(at) - std::exp(idle * log_ratio) * still(now))), floor = eps(at);
    const float fade = float(std::exp(idle * log_first)), fade_square = float(std::exp(idle * log_second));
    float *w = &table(row, 0), *mean = &means(row, 0), *square = &squares(row, 0);
    for (int64_t f = 0; f < width; ++f) {
      w[f] -= move * mean[f] / (std::sqrt(square[f]) + floor);
      mean[f] *= fade;
      square[f] *= fade_square;
    }
  };
  for (size_t n = 0; n < rows.size(); ++n) {
    if (n + kAhead < rows.size()) fetch(rows(n + kAhead), table, means, squares);
    settle(rows(n));
    std::copy_n(&table(rows(n), 0), width, taken.data() + n * width);
  }
}

// One step of Adam for settled rows; of a row that is there more than once, the gradients add up in their order. `slots` is -1
// for every row of the table before and after.
void move_rows(Rows rows, Array2<const float> gradients, Array2<float> table, Array2<float> means, Array2<float> squares,
               Array1<int64_t> last, Array1<int32_t> slots, int64_t now, double root, double rate, float first, float second, float eps) {
  const int64_t width = table.shape(1);
  std::vector<int64_t> distinct;
  std::vector<float> sums;
  sums.reserve(rows.size() * width);
  for (size_t n = 0; n < rows.size(); ++n) {
    const float* gradient = gradients.data() + n * width;
    int32_t& slot = slots(rows(n));
    if (slot < 0) {
      slot = int32_t(distinct.size());
      distinct.push_back(rows(n));
      sums.insert(sums.end(), gradient, gradient + width);
    } else {
      float* sum = sums.data() + slot * width;
      for (int64_t f = 0; f < width; ++f) sum[f] += gradient[f];
    }
  }
  const float scale = float(1 / root), step = float(rate);
  for (size_t n = 0; n < distinct.size(); ++n) {
    if (n + kAhead < distinct.size()) fetch(distinct[n + kAhead], table, means, squares);
    const int64_t row = distinct[n];
    const float* gradient = sums.data() + n * width;
    float *w = &table(row, 0), *mean = &means(row, 0), *square = &squares(row, 0);
    for (int64_t f = 0; f < width; ++f) {
      mean[f] = first * mean[f] + (1 - first) * gradient[f];
      square[f] = second * square[f] + (1 - second) * gradient[f] * gradient[f];
      w[f] -= step * mean[f] / (std::sqrt(square[f]) * scale + eps);
    }
    slots(row) = -1;
    last(row) = now;
  }
}

}  // namespace
}  // namespace tastemaker

void bind_touched(nanobind::module_& m) {
  using nanobind::arg;
  m.def("take_rows", &tastemaker::take_rows, arg("rows"), arg("table").noconvert(), arg("means").noconvert(),
        arg("squares").noconvert(), arg("last").noconvert(), arg("still"), arg("eps"), arg("steps"), arg("rate"), arg("first"),
        arg("second"), arg("taken").noconvert());
  m.def("move_rows", &tastemaker::move_rows, arg("rows"), arg("gradients"), arg("table").noconvert(), arg("means").noconvert(),
        arg("squares").noconvert(), arg("last").noconvert(), arg("slots").noconvert(), arg("step"), arg("root"), arg("rate"), arg("first"), arg("second"), arg("eps"));
}
