// Users as rating vectors: how similar a query is to every user, and what its most similar raters of an item say.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "csr.hpp"

namespace tastemaker {

enum class Similarity { cosine, pearson, jaccard };
enum class Aggregation { mean, weighted, centred, sum };

struct Moments {  // of a rating vector: how many entries, their sum, the sum of their squares
  double count = 0, sum = 0, squares = 0;
  void add(double x) {
    count += 1;
    sum += x;
    squares += x * x;
  }
  double mean() const { return sum / count; }
};

// What a query and a user have in common. Over whole vectors the product is enough, since each one's moments are known.
struct WholeOverlap {
  double count = 0, product = 0;
  void add(double x, double y) {
    count += 1;
    product += x * y;
  }
};

// Over the co-rated items alone, both vectors' moments are taken there too.
struct CommonOverlap {
  double count = 0, product = 0, x_sum = 0, x_squares = 0, y_sum = 0, y_squares = 0;
  void add(double x, double y) {
    count += 1;
    product += x * y;
    x_sum += x;
    x_squares += x * x;
    y_sum += y;
    y_squares += y * y;
  }
};

struct UserSpace {
  Csr raters;  // one row an item: who rated it and how, in the order of the training rows
  const Moments* moments;
  int64_t n_users, n_items;
  Similarity similarity;
  double min_support;
};

// count² times the variance; exactly 0 for a constant vector, whatever the rounding left of it.
inline double spread(double count, double sum, double squares) {
  const double value = count * squares - sum * sum;
  return value > 1e-12 * count * squares ? value : 0;
}

inline double ratio(double numerator, double denominator) { return denominator > 0 ? numerator / denominator : 0; }

// Similarity of two vectors of `length` entries (blanks are 0) from their moments and product.
inline double similarity_of(Similarity kind, double length, const Moments& x, const Moments& y, double product) {
  if (kind == Similarity::cosine) return ratio(product, std::sqrt(x.squares * y.squares));
  const double spreads = spread(length, x.sum, x.squares) * spread(length, y.sum, y.squares);
  return ratio(length * product - x.sum * y.sum, std::sqrt(spreads));
}

inline double similarity_of(const UserSpace& space, const Moments& x, const Moments& y, const WholeOverlap& both) {
  if (space.similarity == Similarity::jaccard) return ratio(both.count, x.count + y.count - both.count);
  return similarity_of(space.similarity, double(space.n_items), x, y, both.product);
}

inline double similarity_of(const UserSpace& space, const Moments& x, const Moments& y, const CommonOverlap& both) {
  if (space.similarity == Similarity::jaccard) return ratio(both.count, x.count + y.count - both.count);
  const Moments x_common{both.count, both.x_sum, both.x_squares};
  const Moments y_common{both.count, both.y_sum, both.y_squares};
  return similarity_of(space.similarity, both.count, x_common, y_common, both.product);
}

// The similarity of query q to every user, 0 below the least support. `overlaps` is scratch of n_users.
template <class Overlap>
Moments similarity_row(const UserSpace& space, const Csr& queries, int64_t q, std::vector<Overlap>& overlaps,
                       double* row) {
  overlaps.assign(space.n_users, Overlap{});
  Moments query;
  for (int64_t h = queries.indptr[q]; h < queries.indptr[q + 1]; ++h) {
    const int64_t item = queries.indices[h];
    const double x = queries.values[h];
    query.add(x);
    for (int64_t r = space.raters.indptr[item]; r < space.raters.indptr[item + 1]; ++r)
      overlaps[space.raters.indices[r]].add(x, space.raters.values[r]);
  }
  for (int64_t user = 0; user < space.n_users; ++user)
    row[user] = overlaps[user].count < space.min_support
                    ? 0.0
                    : similarity_of(space, query, space.moments[user], overlaps[user]);
  return query;
}

inline int64_t count_above(const std::vector<double>& values, double bound) {
  int64_t count = 0;
  for (const double value : values) count += value > bound;
  return count;
}

// The k-th greatest value, where more than k are above 0. Halving the range takes a few dozen counts; they vectorise
// and have no branch to mispredict, so this is several times as fast as a partial sort.
inline double kth_greatest(const std::vector<double>& values, int64_t k) {
  double low = 0, high = *std::max_element(values.begin(), values.end());  // more than k above low, fewer above high
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return high;
    const int64_t count = count_above(values, middle);
    if (count == k) {
      for (const double value : values)
        if (value > middle) high = std::min(high, value);
      return high;
    }
    (count > k ? low : high) = middle;
  }
}

struct Nearest {  // scratch: the similarities along an item's row, and where in the row the neighbors stand
  std::vector<double> similarities;
  std::vector<int64_t> places;
};

// Find the at most k most similar raters of the item; of equals those that come first in its row. Only a positive
// similarity makes a neighbor.
inline void find_nearest(const UserSpace& space, const double* similarities, int64_t item, int64_t k,
                         Nearest& nearest) {
  const int32_t* raters = space.raters.indices + space.raters.indptr[item];
  const int64_t n = space.raters.indptr[item + 1] - space.raters.indptr[item];
  nearest.similarities.resize(n);
  nearest.places.resize(n);
  for (int64_t r = 0; r < n; ++r) nearest.similarities[r] = similarities[raters[r]];
  double least = 0;
  int64_t ties = 0;  // how many of those at `least` belong
  if (count_above(nearest.similarities, 0) > k) {
    least = kth_greatest(nearest.similarities, k);
    ties = k - count_above(nearest.similarities, least);
  }
  int64_t found = 0;
  for (int64_t r = 0; r < n; ++r) {
    const bool tie = nearest.similarities[r] == least && ties > 0;
    nearest.places[found] = r;
    found += tie || nearest.similarities[r] > least;
    ties -= tie;
  }
  nearest.places.resize(found);
}

// What the neighbors say of the item, added up in the order of its row: a rating, or NaN when there is no neighbor.
inline float aggregate(const UserSpace& space, Aggregation how, const Moments& query, int64_t item,
                       const Nearest& nearest) {
  if (nearest.places.empty()) return std::numeric_limits<float>::quiet_NaN();
  double total = 0, weights = 0;
  for (const int64_t place : nearest.places) {
    const int64_t entry = space.raters.indptr[item] + place;
    const double weight = how == Aggregation::mean ? 1.0 : nearest.similarities[place];
    const double rating = space.raters.values[entry];
    const double level = how == Aggregation::centred ? space.moments[space.raters.indices[entry]].mean() : 0.0;
    total += weight * (rating - level);
    weights += weight;
  }
  if (how == Aggregation::sum) return float(total);
  return float(total / weights + (how == Aggregation::centred ? query.mean() : 0.0));
}

}  // namespace tastemaker
