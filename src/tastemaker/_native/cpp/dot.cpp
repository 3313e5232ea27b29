// Every query against every item: scores[q, i] = offset[i] + sum over f of queries[q, f] * items[i, f].
#include <algorithm>
#include <vector>

#include "arrays.hpp"
#include "microkernel.hpp"
#include "parallel.hpp"

namespace tastemaker {

// Rearrange the items, or those named by codes, into panels: panels x factors x kPanel, the last one filled up with zeros.
void pack_items(Array2<const float> items, Array1<const int32_t> codes, Array3<float> panels, int threads) {
  const int64_t factors = items.shape(1), count = codes.size() ? codes.size() : items.shape(0);
  const float* from = items.data();
  const int32_t* chosen = codes.size() ? codes.data() : nullptr;
  float* to = panels.data();
  constexpr int64_t kShard = 64;
  const int64_t total = panels.shape(0);
  parallel_for((total + kShard - 1) / kShard, threads, [&](int64_t shard, int) {
    for (int64_t p = shard * kShard; p < std::min((shard + 1) * kShard, total); ++p) {
      const int64_t first = p * kPanel;
      pack_panel(from, chosen ? chosen + first : nullptr, first, std::min<int64_t>(kPanel, count - first), factors,
                 to + p * factors * kPanel);
    }
  });
}

void dot_scores(Array2<const float> queries, Array3<const float> panels, Array1<const float> offsets, Array2<float> scores,
                int threads) {
  const int64_t factors = queries.shape(1), rows = queries.shape(0), items = scores.shape(1), count = panels.shape(0);
  const float *query = queries.data(), *panel = panels.data(), *offset = offsets.data();
  float* out = scores.data();
  const int64_t block = shard_rows(rows, threads);
  parallel_for((rows + block - 1) / block, threads, [&](int64_t shard, int) {
    const int64_t begin = shard * block, end = std::min(begin + block, rows);
    std::vector<float> packed((end - begin) * factors), edge(kRows * kPanel);
    for (int64_t q = begin; q < end; q += kRows)
      pack_group(query + q * factors, std::min<int64_t>(kRows, end - q), factors, packed.data() + (q - begin) * factors);
    for (int64_t p = 0; p < count; ++p) {
      const int64_t first = p * kPanel, width = std::min<int64_t>(kPanel, items - first);
      for (int64_t q = begin; q < end; q += kRows) {
        const int64_t group = std::min<int64_t>(kRows, end - q);
        const bool whole = width == kPanel;
        float* target = whole ? out + q * items + first : edge.data();
        dot_tile_of(group)(packed.data() + (q - begin) * factors, panel + p * factors * kPanel, offset + first, factors, target,
                           whole ? items : kPanel);
        for (int64_t r = 0; !whole && r < group; ++r)
          std::copy_n(edge.data() + r * kPanel, width, out + (q + r) * items + first);
      }
    }
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
