// Neighborhood kernels; _native/neighbors.py and item_neighbors.py say what each computes and hold the NumPy twins.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "arrays.hpp"
#include "csr.hpp"
#include "item_neighbors.hpp"
#include "item_update.hpp"
#include "parallel.hpp"
#include "user_neighbors.hpp"

namespace nb = nanobind;

namespace tastemaker {
namespace {

using MomentRows = Array2<const double>;  // a user's Moments in each row

// Call body with the kind of overlap that the similarity needs.
template <class Body>
void with_overlaps(bool common, Body&& body) {
  if (common)
    body(CommonOverlap{});
  else
    body(WholeOverlap{});
}

UserSpace user_space(const Csr& raters, const MomentRows& moments, int64_t n_items, int similarity,
                     int64_t min_support) {
  return {raters,
          reinterpret_cast<const Moments*>(moments.data()),
          int64_t(moments.shape(0)),
          n_items,
          Similarity(similarity),
          double(min_support)};
}

void user_similarities(Offsets query_indptr, Codes query_items, Values query_values, Offsets item_indptr, Codes raters,
                       Values ratings, MomentRows moments, int similarity, bool common, int64_t min_support,
                       int threads, Array2<double> out) {
  const Csr queries = csr_of(query_indptr, query_items, query_values);
  const UserSpace space = user_space(csr_of(item_indptr, raters, ratings), moments, int64_t(item_indptr.size()) - 1,
                                     similarity, min_support);
  with_overlaps(common, [&](auto kind) {
    std::vector<std::vector<decltype(kind)>> overlaps(threads);
    parallel_for(int64_t(query_indptr.size()) - 1, threads, [&](int64_t q, int thread) {
      similarity_row(space, queries, q, overlaps[thread], out.data() + q * space.n_users);
    });
  });
}

// Targets are the items of each query to predict; with `every_item` all of them, and the target vectors are empty.
void predict_from_neighbors(Offsets query_indptr, Codes query_items, Values query_values, Codes query_users,
                            Offsets item_indptr, Codes raters, Values ratings, MomentRows moments,
                            Offsets target_indptr, Codes target_items, bool every_item, int similarity, bool common,
                            int64_t min_support, int64_t neighbors, int aggregation, int threads, Array1<float> out) {
  const Csr queries = csr_of(query_indptr, query_items, query_values);
  const UserSpace space = user_space(csr_of(item_indptr, raters, ratings), moments, int64_t(item_indptr.size()) - 1,
                                     similarity, min_support);
  with_overlaps(common, [&](auto kind) {
    struct Own {
      std::vector<decltype(kind)> overlaps;
      std::vector<double> row;
      Nearest nearest;
    };
    std::vector<Own> scratch(threads);
    parallel_for(int64_t(query_indptr.size()) - 1, threads, [&](int64_t q, int thread) {
      Own& own = scratch[thread];
      own.row.resize(space.n_users);
      const Moments query = similarity_row(space, queries, q, own.overlaps, own.row.data());
      if (query_users.data()[q] >= 0) own.row[query_users.data()[q]] = 0;  // nobody is their own neighbor
      const int64_t begin = every_item ? q * space.n_items : target_indptr.data()[q];
      const int64_t end = every_item ? begin + space.n_items : target_indptr.data()[q + 1];
      for (int64_t t = begin; t < end; ++t) {
        const int64_t item = every_item ? t - begin : target_items.data()[t];
        find_nearest(space, own.row.data(), item, neighbors, own.nearest);
        out.data()[t] = aggregate(space, Aggregation(aggregation), query, item, own.nearest);
      }
    });
  });
}

template <bool Weighted, bool Counted>
void run_passes(const Ranked& ranked, const float* scales, Measure measure, int64_t min_support, int threads,
                TopNeighbors& top) {
  const ItemPass<Weighted, Counted> pass(ranked, scales, measure, int32_t(min_support), top);
  const int64_t n_items = int64_t(ranked.item_of.size());
  const int64_t stride = scattering_stride(n_items);
  std::vector<Scratch> scratch(threads);
  parallel_for(n_items, threads,
               [&](int64_t shard, int thread) { pass.run(int32_t(shard * stride % n_items), scratch[thread]); });
}

// No values: all are 1.
void item_neighbors(Offsets indptr, Codes items, Values values, Values scales, int measure, int64_t min_support,
                    int threads, Array2<int32_t> neighbors, Array2<float> similarities) {
  const int64_t n_items = int64_t(neighbors.shape(0)), k = int64_t(neighbors.shape(1));
  const bool weighted = values.size() > 0;
  Ranked ranked;
  {
    nb::gil_scoped_release release;
    ranked = rank_items(indptr.data(), items.data(), weighted ? values.data() : nullptr, int64_t(indptr.size()) - 1,
                        n_items);
  }
  TopNeighbors top(n_items, k);
  const auto passes = !weighted         ? (min_support > 1 ? run_passes<false, true> : run_passes<false, false>)
                      : min_support > 1 ? run_passes<true, true>
                                        : run_passes<true, false>;
  passes(ranked, scales.data(), Measure(measure), min_support, threads, top);
  parallel_for(n_items, threads, [&](int64_t item, int) {
    top.write(item, neighbors.data() + item * k, similarities.data() + item * k);
  });
}

// The moved items' lists anew, and the pairs found on the way in the lists of the others. No values: all are 1.
void update_item_neighbors(Offsets indptr, Codes items, Values values, Offsets column_indptr, Codes column_users,
                           Values column_values, Codes moved, Values scales, int measure, int64_t min_support,
                           Array2<const int32_t> old_neighbors, Array2<const float> old_similarities, int threads,
                           Array2<int32_t> neighbors, Array2<float> similarities) {
  const int64_t n_items = int64_t(neighbors.shape(0)), k = int64_t(neighbors.shape(1));
  std::vector<char> is_moved(n_items, 0);
  for (size_t n = 0; n < moved.size(); ++n) is_moved[moved.data()[n]] = 1;
  TopNeighbors top(n_items, k);
  const Neighbors old{old_neighbors.data(), old_similarities.data(), int64_t(old_neighbors.shape(0)),
                      int64_t(old_neighbors.shape(1))};
  parallel_for(old.n_items, threads, [&](int64_t item, int) {
    if (!is_moved[item]) keep_neighbors(old, item, is_moved, top);
  });
  const auto find = [&](auto counted) {
    const MovedPass<decltype(counted)::value> pass{{indptr.data(), items.data(), values.size() ? values.data() : nullptr},
                                                   csr_of(column_indptr, column_users, column_values),
                                                   moved.data(),
                                                   is_moved,
                                                   scales.data(),
                                                   Measure(measure),
                                                   int32_t(min_support),
                                                   top};
    std::vector scratch(threads, pass.scratch());
    parallel_for(int64_t(moved.size()), threads, [&](int64_t place, int thread) { pass.run(place, scratch[thread]); });
  };
  min_support > 1 ? find(std::true_type{}) : find(std::false_type{});
  parallel_for(n_items, threads, [&](int64_t item, int) {
    top.write(item, neighbors.data() + item * k, similarities.data() + item * k);
  });
}

// One query after another down its history: the order of a sum is the query's own, so a batch changes nothing.
void score_from_neighbors(Offsets query_indptr, Codes query_items, Values query_values, Array2<const int32_t> neighbors,
                          Array2<const float> similarities, int threads, Array2<float> out) {
  const int64_t n_items = int64_t(out.shape(1)), k = int64_t(neighbors.shape(1));
  parallel_for(int64_t(out.shape(0)), threads, [&](int64_t q, int) {
    float* row = out.data() + q * n_items;
    std::fill(row, row + n_items, std::numeric_limits<float>::quiet_NaN());
    for (int64_t h = query_indptr.data()[q]; h < query_indptr.data()[q + 1]; ++h) {
      const int64_t first = int64_t(query_items.data()[h]) * k;
      for (int64_t n = first; n < first + k && neighbors.data()[n] >= 0; ++n) {
        float& score = row[neighbors.data()[n]];
        const float part = query_values.data()[h] * similarities.data()[n];
        score = std::isnan(score) ? part : score + part;
      }
    }
  });
}

}  // namespace
}  // namespace tastemaker

void bind_neighbors(nb::module_& m) {
  m.def("user_similarities", &tastemaker::user_similarities);
  m.def("predict_from_neighbors", &tastemaker::predict_from_neighbors);
  m.def("item_neighbors", &tastemaker::item_neighbors);
  m.def("update_item_neighbors", &tastemaker::update_item_neighbors);
  m.def("score_from_neighbors", &tastemaker::score_from_neighbors);
}
