// Orders of rows by small whole numbers: a counting sort, and sorting by time within its groups.
#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "parallel.hpp"

namespace tastemaker {

using Keys = Array1<const int32_t>;
using Positions = Array1<int64_t>;

constexpr int64_t kAtOnce = 1 << 20;  // rows between two looks for Ctrl-C

// body(begin, end) for one stretch of rows after another, on one thread.
template <class Body>
static void in_stretches(int64_t rows, Body&& body) {
  parallel_for((rows + kAtOnce - 1) / kAtOnce, 1,
               [&](int64_t stretch, int) { body(stretch * kAtOnce, std::min(rows, (stretch + 1) * kAtOnce)); });
}

// order: the rows by key, those of one key in the order of `first` (of the rows themselves if it is empty);
// indptr[k]: where key k begins.
static void group_order(Keys keys, Array1<const int64_t> first, Positions order, Positions indptr) {
  const int64_t rows = keys.size(), groups = int64_t(indptr.size()) - 1;
  const int32_t* key = keys.data();
  const int64_t* before = first.size() ? first.data() : nullptr;
  int64_t *to = order.data(), *begins = indptr.data();
  std::fill_n(begins, groups + 1, 0);
  in_stretches(rows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      if (key[r] < 0 || key[r] >= groups) throw std::invalid_argument("a key is not below the number of groups");
      ++begins[key[r] + 1];
    }
  });
  for (int64_t k = 0; k < groups; ++k) begins[k + 1] += begins[k];
  std::vector<int64_t> next(begins, begins + groups);
  in_stretches(rows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t row = before ? before[r] : r;
      to[next[key[row]]++] = row;
    }
  });
}

// Sort the rows within each group by time, in place; equal times keep their order.
static void sort_groups(Positions order, Array1<const int64_t> indptr, Array1<const int64_t> times, int threads) {
  constexpr int64_t kGroups = 256;  // a shard
  const int64_t groups = int64_t(indptr.size()) - 1;
  const int64_t *begins = indptr.data(), *time = times.data();
  int64_t* row = order.data();
  const auto earlier = [](const auto& a, const auto& b) { return a.first < b.first; };
  parallel_for((groups + kGroups - 1) / kGroups, threads, [&](int64_t shard, int) {
    std::vector<std::pair<int64_t, int64_t>> timed;
    for (int64_t g = shard * kGroups; g < std::min(groups, (shard + 1) * kGroups); ++g) {
      if (begins[g + 1] - begins[g] < 2) continue;
      timed.clear();
      for (int64_t at = begins[g]; at < begins[g + 1]; ++at) timed.emplace_back(time[row[at]], row[at]);
      if (std::is_sorted(timed.begin(), timed.end(), earlier)) continue;
      std::stable_sort(timed.begin(), timed.end(), earlier);
      std::transform(timed.begin(), timed.end(), row + begins[g], [](const auto& entry) { return entry.second; });
    }
  });
}

// How often each key occurs.
static void count_keys(Keys keys, int threads, Positions counts) {
  const int64_t rows = keys.size(), groups = counts.size();
  std::vector<std::vector<int64_t>> own(threads, std::vector<int64_t>(groups));
  parallel_for((rows + kAtOnce - 1) / kAtOnce, threads, [&](int64_t stretch, int thread) {
    const int32_t *key = keys.data() + stretch * kAtOnce, *end = keys.data() + std::min(rows, (stretch + 1) * kAtOnce);
    int64_t* count = own[thread].data();
    for (; key < end; ++key) {
      if (*key < 0 || *key >= groups) throw std::invalid_argument("a key is not below the number of groups");
      ++count[*key];
    }
  });
  std::fill_n(counts.data(), groups, 0);
  for (const auto& part : own)
    for (int64_t k = 0; k < groups; ++k) counts.data()[k] += part[k];
}

}  // namespace tastemaker

void bind_grouping(nanobind::module_& m) {
  using nanobind::arg;
  m.def("group_order", &tastemaker::group_order, arg("keys"), arg("first"), arg("order").noconvert(),
        arg("indptr").noconvert());
  m.def("count_keys", &tastemaker::count_keys, arg("keys"), arg("threads"), arg("counts").noconvert());
  m.def("sort_groups", &tastemaker::sort_groups, arg("order").noconvert(), arg("indptr"), arg("times"), arg("threads"));
}
