// The best k items of each query: from a matrix of scores, or from factors without ever writing the scores down.
#include <vector>

#include "arrays.hpp"
#include "microkernel.hpp"
#include "parallel.hpp"
#include "selection.hpp"

namespace tastemaker {

// Where the lists go.
struct Output {
  int32_t* items;
  float* scores;
  int32_t* counts;
  int32_t* removed;
  int64_t k;

  explicit Output(const ListArrays& lists)
      : items(std::get<0>(lists).data()),
        scores(std::get<1>(lists).data()),
        counts(std::get<2>(lists).data()),
        removed(std::get<3>(lists).data()),
        k(int64_t(std::get<0>(lists).shape(1))) {}

  void write(int64_t query, Best& best, const Rules& rules) const {
    const int64_t found = best.take(items + query * k, scores + query * k);
    counts[query] = int32_t(found);
    if (found < k) count_removed(rules, query, found, removed + query * kReasons);
  }
};

// Call hit(lane) for the lanes whose score is above the threshold, in order.
template <int Width, class Hit>
void above(const float* scores, float threshold, Hit&& hit) {
  static_assert(Width % 8 == 0 && Width <= 64);
  uint8_t flags[Width];  // a comparison into bytes vectorises
  for (int lane = 0; lane < Width; ++lane) flags[lane] = scores[lane] > threshold;
  uint64_t lanes = 0;
  for (int byte = 0; byte < Width; byte += 8) {
    uint64_t eight;
    std::memcpy(&eight, flags + byte, sizeof eight);
    lanes |= (eight * 0x0102040810204080u >> 56) << byte;  // the multiplication gathers the low bits of eight bytes
  }
  for (; lanes; lanes &= lanes - 1) hit(std::countr_zero(lanes));
}

static void search_row(const float* scores, const Rules& rules, int64_t query, Search& search) {
  search.begin(rules, query);
  if (rules.allow.given()) {
    for_each_distinct(rules.allow.row(query), [&](int32_t item) { search.offer(scores[item], item); });
    return;
  }
  constexpr int kChunk = 64;
  int64_t first = 0;
  for (; first + kChunk <= rules.items; first += kChunk)
    above<kChunk>(scores + first, search.threshold(),
                  [&](int lane) { search.offer(scores[first + lane], int32_t(first + lane)); });
  for (; first < rules.items; ++first) search.offer(scores[first], int32_t(first));
}

static void top_k(Array2<const float> scores, CsrArrays seen, CsrArrays deny, CsrArrays allow, Array1<const bool> mask,
                  ListArrays lists, int threads) {
  const int64_t queries = scores.shape(0), items = scores.shape(1), block = shard_rows(queries, threads);
  const Rules rules(seen, deny, allow, mask, items);
  const Output output(lists);
  const float* score = scores.data();
  parallel_for((queries + block - 1) / block, threads, [&](int64_t shard, int) {
    Search search(output.k, items);
    for (int64_t q = shard * block; q < std::min((shard + 1) * block, queries); ++q) {
      search_row(score + q * items, rules, q, search);
      output.write(q, search.best, rules);
    }
  });
}

// Panels of items, each lane with its item's code. Lanes that must not be ranked (fillings, items out of the mask) start from NaN.
struct Panels {
  const float *values, *offsets;
  const int32_t* codes;
  int64_t count, factors;

  const float* panel(int64_t p) const { return values + p * factors * kPanel; }
  bool empty(int64_t p) const {
    return std::all_of(offsets + p * kPanel, offsets + (p + 1) * kPanel, [](float x) { return std::isnan(x); });
  }
};

// A block of queries against all panels: a tile of scores is looked at while it is in the registers, and written down only when
// one of them is good enough.
static void search_block(const float* queries, const Panels& panels, const Rules& rules, int64_t first,
                         std::vector<Search>& searches) {
  const int64_t rows = int64_t(searches.size()), factors = panels.factors;
  const std::vector<float> packed = pack_groups(queries + first * factors, rows, factors);
  std::vector<float> thresholds(rows);
  for (int64_t q = 0; q < rows; ++q) {
    searches[q].begin(rules, first + q);
    thresholds[q] = searches[q].threshold();
  }
  alignas(64) float tile[kRows * kPanel];
  for (int64_t p = 0; p < panels.count; ++p) {
    if (panels.empty(p)) continue;
    for (int64_t q = 0; q < rows; q += kRows) {
      const auto scan = TileOf::scan[std::min<int64_t>(kRows, rows - q) - 1];
      uint32_t hit = scan(packed.data() + q * factors, panels.panel(p), panels.offsets + p * kPanel, factors, &thresholds[q], tile);
      for (; hit; hit &= hit - 1) {
        const int r = std::countr_zero(hit);
        const float* row = tile + r * kPanel;
        Search& search = searches[q + r];
        above<kPanel>(row, thresholds[q + r], [&](int lane) { search.offer(row[lane], panels.codes[p * kPanel + lane]); });
        thresholds[q + r] = search.threshold();
      }
    }
  }
}

static void top_k_dot(Array2<const float> queries, Array3<const float> panels, Array1<const float> offsets,
                      Array1<const int32_t> codes, int64_t items, CsrArrays seen, CsrArrays deny, CsrArrays allow,
                      Array1<const bool> mask, ListArrays lists, int threads) {
  const int64_t rows = queries.shape(0), block = shard_rows(rows, threads);
  const Panels all{panels.data(), offsets.data(), codes.data(), int64_t(panels.shape(0)), int64_t(queries.shape(1))};
  const Rules rules(seen, deny, allow, mask, items);
  const Output output(lists);
  const float* query = queries.data();
  parallel_for((rows + block - 1) / block, threads, [&](int64_t shard, int) {
    const int64_t first = shard * block;
    std::vector<Search> searches(std::min(block, rows - first), Search(output.k, items));
    search_block(query, all, rules, first, searches);
    for (size_t q = 0; q < searches.size(); ++q) output.write(first + int64_t(q), searches[q].best, rules);
  });
}

// One query against its own allowed items: they are gathered into panels and go through the same tile, so the bits are the same.
struct Gathering {
  const float *items, *bias;
  int64_t factors;
  std::vector<float> panel = std::vector<float>(size_t(factors) * kPanel);
  int32_t codes[kPanel] = {};
  int64_t count = 0;

  void flush(const float* query, Search& search) {
    alignas(64) float offsets[kPanel], tile[kPanel];
    std::fill_n(offsets, kPanel, std::numeric_limits<float>::quiet_NaN());
    for (int64_t lane = 0; lane < count; ++lane) offsets[lane] = bias ? bias[codes[lane]] : 0.0f;
    pack_panel(items, codes, count, factors, panel.data());
    TileOf::score[0](query, panel.data(), offsets, factors, tile, kPanel);
    above<kPanel>(tile, search.threshold(), [&](int lane) { search.offer(tile[lane], codes[lane]); });
    count = 0;
  }
};

static void top_k_dot_allowed(Array2<const float> queries, Array2<const float> items, Array1<const float> bias, CsrArrays seen,
                              CsrArrays deny, CsrArrays allow, Array1<const bool> mask, ListArrays lists, int threads) {
  const int64_t rows = queries.shape(0), factors = queries.shape(1), block = shard_rows(rows, threads);
  const Rules rules(seen, deny, allow, mask, items.shape(0));
  const Output output(lists);
  const float *query = queries.data(), *item = items.data(), *added = bias.size() ? bias.data() : nullptr;
  parallel_for((rows + block - 1) / block, threads, [&](int64_t shard, int) {
    Search search(output.k, rules.items);
    Gathering gathering{item, added, factors};
    for (int64_t q = shard * block; q < std::min((shard + 1) * block, rows); ++q) {
      search.begin(rules, q);
      for_each_distinct(rules.allow.row(q), [&](int32_t code) {
        gathering.codes[gathering.count++] = code;
        if (gathering.count == kPanel) gathering.flush(query + q * factors, search);
      });
      gathering.flush(query + q * factors, search);
      output.write(q, search.best, rules);
    }
  });
}

static bool rows_sorted(Array1<const int64_t> indptr, Array1<const int32_t> indices) {
  const int64_t* ptr = indptr.data();
  for (int64_t r = 0; r + 1 < int64_t(indptr.size()); ++r)
    if (!std::is_sorted(indices.data() + ptr[r], indices.data() + ptr[r + 1])) return false;
  return true;
}

static void sort_rows(Array1<const int64_t> indptr, Array1<int32_t> indices, int threads) {
  const int64_t rows = int64_t(indptr.size()) - 1, block = shard_rows(rows, threads);
  const int64_t* ptr = indptr.data();
  int32_t* values = indices.data();
  parallel_for((rows + block - 1) / block, threads, [&](int64_t shard, int) {
    for (int64_t r = shard * block; r < std::min((shard + 1) * block, rows); ++r) std::sort(values + ptr[r], values + ptr[r + 1]);
  });
}

}  // namespace tastemaker

void bind_topk(nanobind::module_& m) {
  using nanobind::arg;
  m.def("rows_sorted", &tastemaker::rows_sorted, arg("indptr"), arg("indices"));
  m.def("sort_rows", &tastemaker::sort_rows, arg("indptr"), arg("indices").noconvert(), arg("threads"));
  m.def("top_k", &tastemaker::top_k, arg("scores"), arg("seen"), arg("deny"), arg("allow"), arg("mask"), arg("lists").noconvert(),
        arg("threads"));
  m.def("top_k_dot", &tastemaker::top_k_dot, arg("queries"), arg("panels"), arg("offsets"), arg("codes"), arg("items"), arg("seen"),
        arg("deny"), arg("allow"), arg("mask"), arg("lists").noconvert(), arg("threads"));
  m.def("top_k_dot_allowed", &tastemaker::top_k_dot_allowed, arg("queries"), arg("items"), arg("bias"), arg("seen"), arg("deny"),
        arg("allow"), arg("mask"), arg("lists").noconvert(), arg("threads"));
}
