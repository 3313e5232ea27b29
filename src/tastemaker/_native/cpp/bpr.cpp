// Bayesian personalized ranking: draw a negative for every observed pair, take a step on each triple. bpr.py says what it computes.
//
// The triples of an epoch lie cut into tasks by their user's group and the two groups of their items. Tasks that share neither
// users nor items run at once; tasks that share some run in the one order of the schedule. So the bits are the same whatever
// the thread count.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <iterator>
#include <vector>

#include "draws.hpp"
#include "lanes.hpp"
#include "parallel.hpp"

namespace tastemaker {
namespace {

constexpr uint64_t TRIES = 64;
constexpr int64_t CHUNKS = 64;  // of users, in which the negatives are drawn: fixed, so that the bits are

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// The items of one user, marked while their negatives are drawn.
class Observed {
 public:
  explicit Observed(int64_t items) : bits_((items + 63) / 64) {}

  void mark(const int32_t* begin, const int32_t* end) {
    for (; begin != end; ++begin) bits_[*begin >> 6] |= uint64_t(1) << (*begin & 63);
  }
  void clear(const int32_t* begin, const int32_t* end) {
    for (; begin != end; ++begin) bits_[*begin >> 6] = 0;
  }
  bool has(int32_t item) const { return bits_[item >> 6] >> (item & 63) & 1; }

 private:
  std::vector<uint64_t> bits_;
};

struct Pool {
  const int32_t* items;
  uint64_t size;

  // A place in the pool: number n of the draws for a pair.
  const int32_t* place(uint64_t key, int64_t position, uint64_t n) const {
    return items + place_of(draw_bits(key, uint64_t(position) * TRIES + n), size);
  }
};

// The first of TRIES draws from the pool that was not observed, -1 if there is none.
int32_t draw_negative(uint64_t key, int64_t position, const Pool& pool, const Observed& observed) {
  for (uint64_t n = 0; n < TRIES; ++n) {
    const int32_t item = *pool.place(key, position, n);
    if (!observed.has(item)) return item;
  }
  return -1;
}

struct Triple {
  int32_t user, positive, negative;
  float weight;
};
static_assert(sizeof(Triple) == 16);

// Where the triples of each task of each chunk of users begin, from how many there are.
std::vector<int64_t> places(const std::vector<int64_t>& counts, int64_t tasks, int64_t* starts) {
  std::vector<int64_t> place(counts.size());
  int64_t at = 0;
  for (int64_t task = 0; task < tasks; ++task) {
    starts[task] = at;
    for (int64_t chunk = 0; chunk < CHUNKS; ++chunk) {
      place[chunk * tasks + task] = at;
      at += counts[chunk * tasks + task];
    }
  }
  starts[tasks] = at;
  return place;
}

void draw(Array<const int64_t> indptr, Array<const int32_t> items, Array<const float> weights, Array<const int32_t> user_order,
          Array<const int32_t> user_group, Array<const int32_t> item_group, Array<const int32_t> task_of, Array<const int32_t> pool_items, uint64_t key,
          Array<int32_t> negatives, Array<int32_t> triples, Array<int64_t> starts, int threads) {
  const int64_t users = int64_t(indptr.size()) - 1, groups = int64_t(task_of.shape(1)), tasks = int64_t(starts.size()) - 1;
  const Pool pool{pool_items.data(), uint64_t(pool_items.size())};
  const int64_t* const start = indptr.data();
  const int32_t *const item = items.data(), *const group = item_group.data();
  int32_t* const negative = negatives.data();
  Triple* const out = reinterpret_cast<Triple*>(triples.data());
  auto task_at = [&](int64_t user, int64_t k) {
    return task_of.data()[(user_group.data()[user] * groups + group[item[k]]) * groups + group[negative[k]]];
  };
  std::vector<Observed> observed(std::max(1, threads), Observed(int64_t(item_group.size())));
  std::vector<int64_t> counts(CHUNKS * tasks);
  parallel_for(CHUNKS, threads, [&](int64_t chunk, int thread) {
    for (int64_t n = chunk * users / CHUNKS; n < (chunk + 1) * users / CHUNKS; ++n) {
      const int64_t user = user_order.data()[n];
      for (int64_t k = start[user]; k < start[user + 1]; ++k) __builtin_prefetch(pool.place(key, k, 0));
      observed[thread].mark(item + start[user], item + start[user + 1]);
      for (int64_t k = start[user]; k < start[user + 1]; ++k) {
        negative[k] = draw_negative(key, k, pool, observed[thread]);
        if (negative[k] >= 0) ++counts[chunk * tasks + task_at(user, k)];
      }
      observed[thread].clear(item + start[user], item + start[user + 1]);
    }
  });
  std::vector<int64_t> place = places(counts, tasks, starts.data());
  parallel_for(CHUNKS, threads, [&](int64_t chunk, int) {
    for (int64_t n = chunk * users / CHUNKS; n < (chunk + 1) * users / CHUNKS; ++n) {
      const int64_t user = user_order.data()[n];
      for (int64_t k = start[user]; k < start[user + 1]; ++k) {
        if (negative[k] < 0) continue;
        out[place[chunk * tasks + task_at(user, k)]++] = {int32_t(user), item[k], negative[k], weights.data()[k]};
      }
    }
  });
}

struct Model {
  float *users, *items, *item_bias;
};

struct Step {
  float rate, regularization;
};

// How much a triple pulls, sigma(-x), and its loss, -log sigma(x).
struct Pull {
  float strength, loss;

  explicit Pull(float x) {
    const float t = std::exp(-std::fabs(x));
    strength = (x > 0 ? t : 1) / (1 + t);
    loss = std::log(1 + t) + std::max(-x, 0.0f);
  }
};

template <int64_t WIDTH>
void fetch(const Model& model, const Triple& triple) {
  for (int64_t f = 0; f < WIDTH; f += 64 / sizeof(float)) {
    __builtin_prefetch(model.users + triple.user * WIDTH + f, 1);
    __builtin_prefetch(model.items + triple.positive * WIDTH + f, 1);
    __builtin_prefetch(model.items + triple.negative * WIDTH + f, 1);
  }
}

// The triples [k, end) in order, with the width of a row of factors known to the compiler: a user's row stays in registers for
// as long as the triples are that user's.
template <int64_t WIDTH>
double pass(const Triple* k, const Triple* end, const Model& model, const Step& step) {
  constexpr int64_t PARTS = WIDTH / LANES, AHEAD = 6;
  double loss = 0;
  while (k < end) {
    const int32_t user = k->user;
    float* const row = model.users + user * WIDTH;
    Lanes u[PARTS];
#pragma GCC unroll 16
    for (int64_t p = 0; p < PARTS; ++p) u[p] = load(row + p * LANES);
    for (; k < end && k->user == user; ++k) {
      if (end - k > AHEAD) fetch<WIDTH>(model, k[AHEAD]);
      float *const liked = model.items + k->positive * WIDTH, *const other = model.items + k->negative * WIDTH;
      float &bias_i = model.item_bias[k->positive], &bias_j = model.item_bias[k->negative];
      Lanes products = {};
#pragma GCC unroll 16
      for (int64_t p = 0; p < PARTS; ++p) products += u[p] * (load(liked + p * LANES) - load(other + p * LANES));
      const Pull pull(bias_i - bias_j + sum(products));
      const float rate = step.rate * k->weight, gain = rate * pull.strength, keep = 1 - rate * step.regularization;
#pragma GCC unroll 16
      for (int64_t p = 0; p < PARTS; ++p) {
        const Lanes i = load(liked + p * LANES), j = load(other + p * LANES);
        store(liked + p * LANES, keep * i + gain * u[p]);
        store(other + p * LANES, keep * j - gain * u[p]);
        u[p] = keep * u[p] + gain * (i - j);
      }
      bias_i = keep * bias_i + gain;
      bias_j = keep * bias_j - gain;
      loss += double(k->weight) * pull.loss;
    }
#pragma GCC unroll 16
    for (int64_t p = 0; p < PARTS; ++p) store(row + p * LANES, u[p]);
  }
  return loss;
}

// One new user against items that stay as they are.
template <int64_t WIDTH>
void learn_user(const int32_t* item, const float* weight, int64_t length, const uint64_t* keys, const float* rates, int64_t epochs,
                const Pool& pool, const Observed& observed, float regularization, const Model& model, float* row) {
  constexpr int64_t PARTS = WIDTH / LANES;
  Lanes u[PARTS] = {};
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    for (int64_t k = 0; k < length; ++k) {
      const int32_t negative = draw_negative(keys[epoch], k, pool, observed);
      if (negative < 0) continue;
      const float *const liked = model.items + item[k] * WIDTH, *const other = model.items + negative * WIDTH;
      Lanes apart[PARTS], products = {};
#pragma GCC unroll 16
      for (int64_t p = 0; p < PARTS; ++p) {
        apart[p] = load(liked + p * LANES) - load(other + p * LANES);
        products += u[p] * apart[p];
      }
      const Pull pull(model.item_bias[item[k]] - model.item_bias[negative] + sum(products));
      const float rate = rates[epoch] * weight[k], gain = rate * pull.strength, keep = 1 - rate * regularization;
#pragma GCC unroll 16
      for (int64_t p = 0; p < PARTS; ++p) u[p] = keep * u[p] + gain * apart[p];
    }
  }
  for (int64_t p = 0; p < PARTS; ++p) store(row + p * LANES, u[p]);
}

// Calls body with the width of a row as a constant.
template <class Body>
void with_width(int64_t width, Body&& body) {
  bool known = false;
  auto attempt = [&]<int64_t WIDTH>() {
    if (width != WIDTH) return;
    known = true;
    body.template operator()<WIDTH>();
  };
  [&]<int64_t... WIDTH>(std::integer_sequence<int64_t, WIDTH...>) {
    (attempt.template operator()<WIDTH>(), ...);
  }(std::integer_sequence<int64_t, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024>());
  if (!known) throw nb::value_error("rows of factors have none of the widths in sgd_widths");
}

// What each task waits for: the tasks before it that last used its users and its items (-1: none).
std::vector<std::array<int64_t, 3>> before(Array<const int32_t> schedule) {
  const int64_t tasks = int64_t(schedule.shape(0));
  std::vector<int64_t> users(tasks + 1, -1), items(2 * tasks + 1, -1);
  std::vector<std::array<int64_t, 3>> waits(tasks);
  for (int64_t task = 0; task < tasks; ++task) {
    const int32_t* const group = schedule.data() + task * 3;
    waits[task] = {users[group[0]], items[group[1]], items[group[2]]};
    users[group[0]] = items[group[1]] = items[group[2]] = task;
  }
  return waits;
}

double epoch(Array<const int32_t> triples, Array<const int64_t> starts, Array<const int32_t> schedule, Array<float> user_factors,
             Array<float> item_factors, Array<float> item_bias, float rate, float regularization, int threads) {
  const Triple* const triple = reinterpret_cast<const Triple*>(triples.data());
  const Model model{user_factors.data(), item_factors.data(), item_bias.data()};
  const Step step{rate, regularization};
  const int64_t tasks = int64_t(schedule.shape(0));
  const auto waits = before(schedule);
  std::vector<double> loss(tasks);
  std::vector<std::atomic<bool>> done(tasks);
  with_width(int64_t(user_factors.shape(1)), [&]<int64_t WIDTH>() {
    parallel_for(tasks, threads, [&](int64_t task, int) {
      for (int64_t earlier : waits[task]) {
        if (earlier >= 0) done[earlier].wait(false);
      }
      loss[task] = pass<WIDTH>(triple + starts.data()[task], triple + starts.data()[task + 1], model, step);
      done[task] = true;
      done[task].notify_all();
    });
  });
  double total = 0;
  for (double part : loss) total += part;
  return total;
}

void fold_in(Array<const int64_t> indptr, Array<const int32_t> items, Array<const float> weights, Array<const int32_t> pool_items,
             Array<const uint64_t> keys, Array<const float> rates, float regularization, Array<float> item_factors,
             Array<float> item_bias, Array<float> user_factors, int threads) {
  const Pool pool{pool_items.data(), uint64_t(pool_items.size())};
  const Model model{nullptr, item_factors.data(), item_bias.data()};
  std::vector<Observed> observed(std::max(1, threads), Observed(int64_t(item_bias.size())));
  with_width(int64_t(item_factors.shape(1)), [&]<int64_t WIDTH>() {
    parallel_for(int64_t(indptr.size()) - 1, threads, [&](int64_t query, int thread) {
      const int64_t start = indptr.data()[query], end = indptr.data()[query + 1];
      const int32_t* const item = items.data();
      observed[thread].mark(item + start, item + end);
      learn_user<WIDTH>(item + start, weights.data() + start, end - start, keys.data(), rates.data(), int64_t(keys.size()), pool,
                        observed[thread], regularization, model, user_factors.data() + query * WIDTH);
      observed[thread].clear(item + start, item + end);
    });
  });
}

}  // namespace
}  // namespace tastemaker

void bind_bpr(nanobind::module_& m) {
  m.def("bpr_draw", &tastemaker::draw);
  m.def("bpr_epoch", &tastemaker::epoch);
  m.def("bpr_fold_in", &tastemaker::fold_in);
}
