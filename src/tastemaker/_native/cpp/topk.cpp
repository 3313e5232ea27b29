// The best k items of each query: from a matrix of scores, or from factors without ever writing the scores down.
#include <vector>

#include "arrays.hpp"
#include "microkernel.hpp"
#include "parallel.hpp"
#include "selection.hpp"

namespace tastemaker {

// Where the answers go.
struct Output {
  int32_t* items;
  float* scores;
  int32_t* counts;
  int32_t* removed;
  int64_t k;

  void write(int64_t query, Best& best, const Rules& rules) const {
    const int64_t found = best.take(items + query * k, scores + query * k);
    counts[query] = int32_t(found);
    if (found < k) count_removed(rules, query, found, removed + query * kReasons);
  }
};

// One query's search: what it has found, and where it stands in its sorted lists.
struct Search {
  Best best;
  Cursor seen, deny;

  void begin(const Rules& rules, int64_t query) {
    seen = rules.seen.row(query);
    deny = rules.deny.row(query);
  }
  void offer(float score, int32_t item) {
    if (score > best.threshold() && !seen.holds(item) && !deny.holds(item)) best.offer(score, item);
  }
};

// Call hit(lane) for the lanes whose score is above the threshold. Comparing into bytes vectorises, and most words are zero.
template <int Width, class Hit>
void above(const float* scores, float threshold, Hit&& hit) {
  static_assert(Width % 8 == 0);
  uint8_t flags[Width];
  for (int lane = 0; lane < Width; ++lane) flags[lane] = scores[lane] > threshold;
  for (int word = 0; word < Width; word += 8) {
    uint64_t any;
    std::memcpy(&any, flags + word, sizeof any);
    if (any == 0) continue;
    for (int lane = word; lane < word + 8; ++lane)
      if (flags[lane]) hit(lane);
  }
}

static Lists lists_of(Array1<const int64_t> indptr, Array1<const int32_t> indices, int64_t items) {
  return {indptr.data(), indices.data(), std::max<int64_t>(int64_t(indptr.size()) - 1, 0), items};
}

static Rules rules_of(Array1<const int64_t> seen_ptr, Array1<const int32_t> seen, Array1<const int64_t> deny_ptr,
                      Array1<const int32_t> deny, Array1<const int64_t> allow_ptr, Array1<const int32_t> allow,
                      Array1<const bool> mask, int64_t items) {
  Rules rules{lists_of(seen_ptr, seen, items), lists_of(deny_ptr, deny, items), lists_of(allow_ptr, allow, items),
              mask.size() ? mask.data() : nullptr, items};
  if (rules.mask) rules.unmasked = std::count(rules.mask, rules.mask + items, false);
  return rules;
}

static void search_row(const float* scores, const Rules& rules, int64_t query, Search& search) {
  const auto offer = [&](int32_t item) {
    if (!rules.mask || rules.mask[item]) search.offer(scores[item], item);
  };
  if (rules.allow.given()) {
    const Cursor allow = rules.allow.row(query);
    for (const int32_t* at = allow.at; at != allow.end; ++at)
      if (at == allow.at || *at != at[-1]) offer(*at);
    return;
  }
  constexpr int kChunk = 64;
  int64_t first = 0;
  for (; first + kChunk <= rules.items; first += kChunk)
    above<kChunk>(scores + first, search.best.threshold(), [&](int lane) { offer(int32_t(first + lane)); });
  for (; first < rules.items; ++first) offer(int32_t(first));
}

void top_k(Array2<const float> scores, int64_t k, Array1<const int64_t> seen_ptr, Array1<const int32_t> seen,
           Array1<const int64_t> deny_ptr, Array1<const int32_t> deny, Array1<const int64_t> allow_ptr,
           Array1<const int32_t> allow, Array1<const bool> mask, Array2<int32_t> items_out, Array2<float> scores_out,
           Array1<int32_t> counts, Array2<int32_t> removed, int threads) {
  const int64_t queries = scores.shape(0), items = scores.shape(1), block = shard_rows(queries, threads);
  const Rules rules = rules_of(seen_ptr, seen, deny_ptr, deny, allow_ptr, allow, mask, items);
  const Output output{items_out.data(), scores_out.data(), counts.data(), removed.data(), k};
  const float* score = scores.data();
  parallel_for((queries + block - 1) / block, threads, [&](int64_t shard, int) {
    Search search{Best(std::min(k, items))};
    for (int64_t q = shard * block; q < std::min((shard + 1) * block, queries); ++q) {
      search.begin(rules, q);
      search_row(score + q * items, rules, q, search);
      output.write(q, search.best, rules);
    }
  });
}

// The factors on both sides. Lanes of a panel that must not be ranked (filling, or items that fail the condition) have offset NaN.
struct Product {
  const float *queries, *items, *panels, *offsets;
  const int32_t* codes;  // the item in each lane; null: lane i holds item i
  int64_t factors, panel_count;

  int32_t code(int64_t lane) const { return codes ? codes[lane] : int32_t(lane); }
};

// A block of queries against all panels: a tile of scores stays in the first-level cache and is scanned at once.
static void search_block(const Product& product, const Rules& rules, int64_t begin, int64_t end, std::vector<Search>& searches,
                         std::vector<float>& packed) {
  for (int64_t q = begin; q < end; ++q) searches[q - begin].begin(rules, q);
  for (int64_t q = begin; q < end; q += kRows)
    pack_group(product.queries + q * product.factors, std::min<int64_t>(kRows, end - q), product.factors,
               packed.data() + (q - begin) * product.factors);
  alignas(64) float tile[kRows * kPanel];
  for (int64_t p = 0; p < product.panel_count; ++p) {
    const float *panel = product.panels + p * product.factors * kPanel, *offsets = product.offsets + p * kPanel;
    if (std::all_of(offsets, offsets + kPanel, [](float x) { return std::isnan(x); })) continue;
    for (int64_t q = begin; q < end; q += kRows) {
      const int64_t group = std::min<int64_t>(kRows, end - q);
      dot_tile_of(group)(packed.data() + (q - begin) * product.factors, panel, offsets, product.factors, tile, kPanel);
      for (int64_t r = 0; r < group; ++r) {
        Search& search = searches[q - begin + r];
        const float* row = tile + r * kPanel;
        above<kPanel>(row, search.best.threshold(),
                      [&](int lane) { search.offer(row[lane], product.code(p * kPanel + lane)); });
      }
    }
  }
}

// One query against its own allowed items: they are gathered into panels and go through the same tile, so the bits are the same.
static void search_allowed(const Product& product, const Rules& rules, int64_t query, Search& search, std::vector<float>& panel) {
  search.begin(rules, query);
  const Cursor allow = rules.allow.row(query);
  int32_t codes[kPanel];
  alignas(64) float offsets[kPanel], tile[kPanel];
  for (const int32_t* at = allow.at; at != allow.end;) {
    int64_t count = 0;
    for (; at != allow.end && count < kPanel; ++at) {
      const bool repeated = at != allow.at && *at == at[-1];
      if (!repeated && !std::isnan(product.offsets[*at])) codes[count++] = *at;
    }
    for (int64_t lane = 0; lane < kPanel; ++lane)
      offsets[lane] = lane < count ? product.offsets[codes[lane]] : std::numeric_limits<float>::quiet_NaN();
    pack_panel(product.items, codes, 0, count, product.factors, panel.data());
    dot_tile_of(1)(product.queries + query * product.factors, panel.data(), offsets, product.factors, tile, kPanel);
    above<kPanel>(tile, search.best.threshold(), [&](int lane) { search.offer(tile[lane], codes[lane]); });
  }
}

// A shared allow list has already gone into the offsets or the codes; it is passed on for the count of what was removed.
void top_k_dot(Array2<const float> queries, Array2<const float> items, Array3<const float> panels, Array1<const float> offsets,
               Array1<const int32_t> codes, int64_t k, Array1<const int64_t> seen_ptr, Array1<const int32_t> seen,
               Array1<const int64_t> deny_ptr, Array1<const int32_t> deny, Array1<const int64_t> allow_ptr,
               Array1<const int32_t> allow, Array1<const bool> mask, Array2<int32_t> items_out, Array2<float> scores_out,
               Array1<int32_t> counts, Array2<int32_t> removed, int threads) {
  const int64_t rows = queries.shape(0), count = items.shape(0), block = shard_rows(rows, threads);
  const Rules rules = rules_of(seen_ptr, seen, deny_ptr, deny, allow_ptr, allow, mask, count);
  const Output output{items_out.data(), scores_out.data(), counts.data(), removed.data(), k};
  const Product product{queries.data(),  items.data(),           panels.data(),
                        offsets.data(),  codes.size() ? codes.data() : nullptr,
                        int64_t(queries.shape(1)), int64_t(panels.shape(0))};
  const bool own_items = rules.allow.given() && !rules.allow.shared();
  parallel_for((rows + block - 1) / block, threads, [&](int64_t shard, int) {
    const int64_t begin = shard * block, end = std::min(begin + block, rows);
    std::vector<Search> searches(end - begin, Search{Best(std::min(k, count))});
    std::vector<float> packed(product.factors * std::max<int64_t>(end - begin, kPanel));
    if (own_items)
      for (int64_t q = begin; q < end; ++q) search_allowed(product, rules, q, searches[q - begin], packed);
    else
      search_block(product, rules, begin, end, searches, packed);
    for (int64_t q = begin; q < end; ++q) output.write(q, searches[q - begin].best, rules);
  });
}

static bool rows_sorted(Array1<const int64_t> indptr, Array1<const int32_t> indices) {
  const int64_t *ptr = indptr.data();
  for (int64_t r = 0; r + 1 < int64_t(indptr.size()); ++r)
    if (!std::is_sorted(indices.data() + ptr[r], indices.data() + ptr[r + 1])) return false;
  return true;
}

void sort_rows(Array1<const int64_t> indptr, Array1<int32_t> indices, int threads) {
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
  m.def("top_k", &tastemaker::top_k, arg("scores"), arg("k"), arg("seen_ptr"), arg("seen"), arg("deny_ptr"), arg("deny"),
        arg("allow_ptr"), arg("allow"), arg("mask"), arg("items_out").noconvert(), arg("scores_out").noconvert(),
        arg("counts").noconvert(), arg("removed").noconvert(), arg("threads"));
  m.def("top_k_dot", &tastemaker::top_k_dot, arg("queries"), arg("items"), arg("panels"), arg("offsets"), arg("codes"), arg("k"),
        arg("seen_ptr"), arg("seen"), arg("deny_ptr"), arg("deny"), arg("allow_ptr"), arg("allow"), arg("mask"),
        arg("items_out").noconvert(), arg("scores_out").noconvert(), arg("counts").noconvert(), arg("removed").noconvert(),
        arg("threads"));
}
