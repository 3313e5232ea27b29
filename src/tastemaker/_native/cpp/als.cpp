// Alternating least squares for implicit feedback: Gram matrices, changes of basis and half-sweeps. als.py says what is computed.
// Every row is solved on its own, so the bits depend neither on the threads nor on what else is in the batch.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "als_row.hpp"
#include "arrays.hpp"
#include "parallel.hpp"

namespace tastemaker {
namespace {

// gram (float64, symmetric) = rows'rows: float32 over a few hundred rows, float64 beyond, in shards of the rows that do not depend
// on the threads.
void gram(Array2<const float> rows, Array2<double> out, int threads) {
  constexpr int64_t kShards = 8, kChunk = 256;
  const int64_t n = int64_t(rows.shape(0)), width = int64_t(rows.shape(1));
  const int64_t fair = std::max<int64_t>(kChunk, (n + kShards - 1) / kShards), shards = (n + fair - 1) / fair;
  std::vector<std::vector<double>> parts(shards);
  parallel_for(shards, threads, [&](int64_t shard, int) {
    std::vector<double>& part = parts[shard];
    part.assign(width * width, 0.0);
    Floats chunk(width * width);
    const int64_t end = std::min(n, (shard + 1) * fair);
    for (int64_t k = shard * fair; k < end; k += kChunk) {
      std::fill(chunk.begin(), chunk.end(), 0.0f);
      add_gram(rows.data() + k * width, std::min(kChunk, end - k), width, width, chunk.data(), width);
      for (int64_t a = 0; a < width; ++a)
        for (int64_t b = a; b < width; ++b) part[a * width + b] += chunk[a * width + b];
    }
  });
  double* const to = out.data();
  std::fill(to, to + width * width, 0.0);
  for (const std::vector<double>& part : parts)
    for (int64_t a = 0; a < width; ++a)
      for (int64_t b = a; b < width; ++b) to[b * width + a] = to[a * width + b] += part[a * width + b];
}

// rows <- rows * basis, in place.
void rotate(Array2<float> rows, Array2<const float> basis, int threads) {
  constexpr int64_t kShardRows = 512;
  const int64_t n = int64_t(rows.shape(0)), width = int64_t(rows.shape(1));
  parallel_for((n + kShardRows - 1) / kShardRows, threads, [&](int64_t shard, int) {
    Floats group(kTileRows * width), turned(kTileRows * width);
    const int64_t end = std::min(n, (shard + 1) * kShardRows);
    for (int64_t k = shard * kShardRows; k < end; k += kTileRows) {
      const int64_t count = std::min<int64_t>(kTileRows, end - k);
      float* const at = rows.data() + k * width;
      std::copy(at, at + count * width, group.data());
      for (int64_t b = 0; b < width; b += kTileColumns)
        multiply_tile<false, false>({group.data(), width, 1, basis.data() + b, width}, width, turned.data() + b, width);
      std::copy(turned.data(), turned.data() + count * width, at);
    }
  });
}

// Rows in runs of about as many interactions.
std::vector<int64_t> cut(const int64_t* indptr, int64_t rows) {
  constexpr int64_t kInteractions = 8192, kRow = 16;
  std::vector<int64_t> starts{0};
  int64_t cost = 0;
  for (int64_t row = 0; row < rows; ++row) {
    cost += indptr[row + 1] - indptr[row] + kRow;
    if (cost < kInteractions && row + 1 < rows) continue;
    starts.push_back(row + 1);
    cost = 0;
  }
  return starts;
}

struct Task {
  const int64_t* indptr;
  const int32_t* indices;
  const float* weights;
  int64_t rows;
  FixedSide fixed;
  Penalty penalty;
  float offset;
  Solver solver;
  int steps, threads;
  float* solutions;
  double* penalties;
};

template <int64_t W>
double half_sweep(const Task& task) {
  const std::vector<int64_t> starts = cut(task.indptr, task.rows);
  const int64_t shards = int64_t(starts.size()) - 1, all = task.indptr[task.rows];
  std::vector<double> losses(shards);
  std::vector<std::unique_ptr<RowSolver<W>>> solvers(std::max(1, task.threads));
  parallel_for(shards, task.threads, [&](int64_t shard, int thread) {
    auto& solver = solvers[thread];
    if (!solver)
      solver = std::make_unique<RowSolver<W>>(task.fixed, task.penalty, task.offset, task.solver, task.steps);
    for (int64_t row = starts[shard]; row < starts[shard + 1]; ++row) {
      float* const x = task.solutions + row * W;
      const int64_t from = task.indptr[row], count = task.indptr[row + 1] - from;
      if (count) {
        losses[shard] += solver->solve({task.indices + from, task.weights + from, count, all - from}, x, task.penalties[row]);
      } else {
        std::fill(x, x + W, 0.0f);
        task.penalties[row] = 0;
      }
    }
  });
  double total = 0;
  for (double loss : losses) total += loss;
  return total;
}

constexpr int64_t kWidths[] = {32, 64, 96, 128, 192, 256, 384, 512, 768, 1024};
constexpr double (*kHalfSweeps[])(const Task&) = {half_sweep<32>,  half_sweep<64>,  half_sweep<96>,  half_sweep<128>,
                                                  half_sweep<192>, half_sweep<256>, half_sweep<384>, half_sweep<512>,
                                                  half_sweep<768>, half_sweep<1024>};

double solve(Array1<const int64_t> indptr, Array1<const int32_t> indices, Array1<const float> weights,
             Array2<const float> fixed, Array1<const float> spectrum, Array2<float> solutions, Array1<double> penalties,
             double regularization,
             double exponent, double unobserved, float offset, const std::string& solver, int steps, int threads) {
  const auto* const width = std::find(std::begin(kWidths), std::end(kWidths), int64_t(fixed.shape(1)));
  if (width == std::end(kWidths)) throw nb::value_error("rows of factors have none of the widths in als_widths");
  const Solver chosen = solver == "cg"         ? Solver::kConjugateGradient
                        : solver == "subspace" ? Solver::kSubspace
                                               : Solver::kCholesky;
  return kHalfSweeps[width - kWidths]({indptr.data(), indices.data(), weights.data(), int64_t(solutions.shape(0)),
                                       {fixed.data(), spectrum.data()}, {regularization, exponent, unobserved}, offset, chosen,
                                       steps, threads, solutions.data(), penalties.data()});
}

}  // namespace
}  // namespace tastemaker

void bind_als(nanobind::module_& m) {
  m.attr("als_widths") = std::vector<int64_t>(std::begin(tastemaker::kWidths), std::end(tastemaker::kWidths));
  m.def("als_gram", &tastemaker::gram);
  m.def("als_rotate", &tastemaker::rotate);
  m.def("als_solve", &tastemaker::solve);
}
