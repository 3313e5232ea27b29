// Every query against every item: scores[q, i] = offset[i] + sum over f of queries[q, f] * items[i, f].
#include <algorithm>
#include <vector>

#include "arrays.hpp"
#include "microkernel.hpp"
#include "parallel.hpp"

namespace tastemaker {

// Rearrange the items named by codes into panels: panels x factors x kPanel, the last one filled up with zeros.
static void pack_items(Array2<const float> items, Array1<const int32_t> codes, Array3<float> panels, int threads) {
  const int64_t factors = items.shape(1), count = codes.size(), total = panels.shape(0);
  const float* from = items.data();
  const int32_t* chosen = codes.data();
  float* to = panels.data();
  constexpr int64_t kShard = 64;
  parallel_for((total + kShard - 1) / kShard, threads, [&](int64_t shard, int) {
    for (int64_t p = shard * kShard; p < std::min((shard + 1) * kShard, total); ++p) {
      const int64_t first = p * kPanel;
      pack_panel(from, chosen + first, std::min<int64_t>(kPanel, count - first), factors, to + p * factors * kPanel);
    }
  });
}

// Scores of one group of queries for the panels [from, to). The last panel is wider than what is left of the row: it goes through
// a buffer.
static void score_group(const float* packed, int64_t group, const float* panels, const float* offsets, int64_t factors,
                        int64_t from, int64_t to, float* out, int64_t items) {
  const auto score = TileOf::score[group - 1];
  for (int64_t p = from; p < to; ++p) {
    const float* panel = panels + p * factors * kPanel;
    const int64_t first = p * kPanel, width = std::min<int64_t>(kPanel, items - first);
    if (width == kPanel) {
      score(packed, panel, offsets + first, factors, out + first, items);
      continue;
    }
    float edge[kRows * kPanel];
    score(packed, panel, offsets + first, factors, edge, kPanel);
    for (int64_t r = 0; r < group; ++r) std::copy_n(edge + r * kPanel, width, out + r * items + first);
  }
}

// Panels are taken as many at a time as stay in the second-level cache, so that rows are written in long runs.
static void dot_scores(Array2<const float> queries, Array3<const float> panels, Array1<const float> offsets, Array2<float> scores,
                int threads) {
  constexpr int64_t kCached = 64 * 1024;  // floats
  const int64_t factors = queries.shape(1), rows = queries.shape(0), items = scores.shape(1), count = panels.shape(0);
  const int64_t block = shard_rows(rows, threads), step = std::max<int64_t>(1, kCached / (kPanel * std::max<int64_t>(factors, 1)));
  const float *query = queries.data(), *panel = panels.data(), *offset = offsets.data();
  float* out = scores.data();
  parallel_for((rows + block - 1) / block, threads, [&](int64_t shard, int) {
    const int64_t begin = shard * block, end = std::min(begin + block, rows);
    const std::vector<float> packed = pack_groups(query + begin * factors, end - begin, factors);
    for (int64_t from = 0; from < count; from += step)
      for (int64_t q = begin; q < end; q += kRows)
        score_group(packed.data() + (q - begin) * factors, std::min<int64_t>(kRows, end - q), panel, offset, factors, from,
                    std::min(from + step, count), out + q * items, items);
  });
}

}  // namespace tastemaker

void bind_dot(nanobind::module_& m) {
  using nanobind::arg;
  m.attr("panel") = tastemaker::kPanel;
  m.def("pack_items", &tastemaker::pack_items, arg("items"), arg("codes"), arg("panels").noconvert(), arg("threads"));
  m.def("dot_scores", &tastemaker::dot_scores, arg("queries"), arg("panels"), arg("offsets"), arg("scores").noconvert(),
        arg("threads"));
}
