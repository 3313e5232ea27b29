// Random walks over the graph of items and users, and the items that they visit most; walks.py says what is computed. Each item draws
// by its own key, so that the bits depend neither on the number of threads nor on the other items.
#include <algorithm>
#include <vector>

#include "csr.hpp"
#include "draws.hpp"
#include "parallel.hpp"
#include "selection.hpp"

namespace tastemaker {
namespace {

struct Lists {
  const int64_t* indptr;
  const int32_t* indices;

  int32_t draw(int32_t row, uint64_t bits) const {
    const int64_t begin = indptr[row];
    return indices[begin + int64_t(place_of(bits, uint64_t(indptr[row + 1] - begin)))];
  }
};

struct Visits {
  std::vector<int32_t> counts, items;

  void add(int32_t item) {
    if (counts[item]++ == 0) items.push_back(item);
  }
};

// Row by row the `top` most visited other items, -1 where there are fewer, and how often they were visited.
void visits(Offsets item_indptr, Codes item_users, Offsets user_indptr, Codes user_items, uint64_t key, int64_t steps,
            uint64_t restart, int threads, Array2<int32_t> out, Array2<int32_t> counts) {
  const Lists users_of{item_indptr.data(), item_users.data()}, items_of{user_indptr.data(), user_items.data()};
  const int64_t items = out.shape(0), top = out.shape(1);
  std::vector<Visits> scratch(std::max(1, threads));
  parallel_for(items, threads, [&](int64_t row, int thread) {
    const int32_t start = int32_t(row);
    int32_t *const to = &out(row, 0), *const times = &counts(row, 0);
    std::fill_n(to, top, -1);
    std::fill_n(times, top, 0);
    if (item_indptr(row) == item_indptr(row + 1)) return;
    Visits& visited = scratch[thread];
    visited.counts.resize(items);
    const uint64_t own = draw_bits(key, uint64_t(row));
    int32_t at = start;
    for (uint64_t step = 0; step < uint64_t(steps); ++step) {
      if (draw_bits(own, 3 * step) < restart) at = start;
      const int32_t user = users_of.draw(at, draw_bits(own, 3 * step + 1));
      at = items_of.draw(user, draw_bits(own, 3 * step + 2));
      if (at != start) visited.add(at);
    }
    std::sort(visited.items.begin(), visited.items.end());
    Best best(top);
    for (const int32_t item : visited.items) best.offer(float(visited.counts[item]), item);
    std::vector<float> scores(top);
    const int64_t found = best.take(to, scores.data());
    for (int64_t rank = 0; rank < found; ++rank) times[rank] = visited.counts[to[rank]];
    for (const int32_t item : visited.items) visited.counts[item] = 0;
    visited.items.clear();
  });
}

}  // namespace
}  // namespace tastemaker

void bind_walks(nanobind::module_& m) {
  using nanobind::arg;
  m.def("visits", &tastemaker::visits, arg("item_indptr"), arg("item_users"), arg("user_indptr"), arg("user_items"), arg("key"),
        arg("steps"), arg("restart"), arg("threads"), arg("out").noconvert(), arg("counts").noconvert());
}
