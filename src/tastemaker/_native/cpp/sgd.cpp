// Stochastic gradient descent for r = b_u + b_i + <U_u, V_i>: one pass over the observed ratings. sgd.py says what it computes.
//
// The ratings lie cut into groups x groups blocks (user group x item group). Blocks that share neither users nor items run at
// once; blocks that share some run in the one order of the schedule. So the bits are the same whatever the thread count.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <iterator>
#include <vector>

#include "lanes.hpp"
#include "parallel.hpp"

namespace tastemaker {
namespace {

struct Ratings {
  const int32_t *user, *item;
  const float *value, *weight;
};

struct Model {
  float *users, *items, *user_bias, *item_bias;
};

struct Step {
  float rate, regularization;
  bool biased;
};

// The ratings [k, end) in order, with the width of a row of factors known to the compiler: a user's row stays in registers for
// as long as the ratings are that user's. The parts of a row are vectors, so that each loop below is a few instructions.
template <int64_t WIDTH>
double pass(const Ratings& ratings, int64_t k, int64_t end, const Model& model, const Step& step) {
  constexpr int64_t PARTS = WIDTH / LANES;
  double loss = 0;
  while (k < end) {
    const int32_t user = ratings.user[k];
    float* const row = model.users + user * WIDTH;
    float bias_u = model.user_bias[user];
    Lanes u[PARTS];
#pragma GCC unroll 16
    for (int64_t p = 0; p < PARTS; ++p) u[p] = load(row + p * LANES);
    for (; k < end && ratings.user[k] == user; ++k) {
      float* const item = model.items + ratings.item[k] * WIDTH;
      float& bias_i = model.item_bias[ratings.item[k]];
      Lanes v[PARTS], products = {};
#pragma GCC unroll 16
      for (int64_t p = 0; p < PARTS; ++p) products += u[p] * (v[p] = load(item + p * LANES));
      const float error = ratings.value[k] - (bias_u + bias_i + sum(products));
      const float rate = step.rate * ratings.weight[k], gain = rate * error, keep = 1 - rate * step.regularization;
#pragma GCC unroll 16
      for (int64_t p = 0; p < PARTS; ++p) {
        store(item + p * LANES, keep * v[p] + gain * u[p]);
        u[p] = keep * u[p] + gain * v[p];
      }
      if (step.biased) {
        bias_u = keep * bias_u + gain;
        bias_i = keep * bias_i + gain;
      }
      loss += double(ratings.weight[k]) * error * error;
    }
#pragma GCC unroll 16
    for (int64_t p = 0; p < PARTS; ++p) store(row + p * LANES, u[p]);
    model.user_bias[user] = bias_u;
  }
  return loss;
}

using Pass = double (*)(const Ratings&, int64_t, int64_t, const Model&, const Step&);
constexpr int64_t WIDTHS[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024};
constexpr Pass PASSES[] = {pass<16>,  pass<32>,  pass<48>,  pass<64>,  pass<96>,  pass<128>,
                           pass<192>, pass<256>, pass<384>, pass<512>, pass<768>, pass<1024>};

Pass pass_of(int64_t width) {
  const auto* found = std::find(std::begin(WIDTHS), std::end(WIDTHS), width);
  if (found == std::end(WIDTHS)) throw nb::value_error("rows of factors have none of the widths in sgd_widths");
  return PASSES[found - WIDTHS];
}

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// Shard (round, group) runs block (group, group + round), and the shards are handed out round after round. A shard waits for the
// two shards of the round before that used its users or its items; those were handed out earlier, so nobody waits for ever.
double epoch(Array<const int64_t> starts, Array<const int32_t> users, Array<const int32_t> items, Array<const float> values,
             Array<const float> weights, int64_t groups, Array<float> user_factors, Array<float> item_factors,
             Array<float> user_bias, Array<float> item_bias, float rate, float regularization, bool biased, int threads) {
  const Ratings ratings{users.data(), items.data(), values.data(), weights.data()};
  const Model model{user_factors.data(), item_factors.data(), user_bias.data(), item_bias.data()};
  const Step step{rate, regularization, biased};
  const Pass run = pass_of(int64_t(user_factors.shape(1)));
  std::vector<double> loss(groups * groups);
  std::vector<std::atomic<bool>> done(groups * groups);
  parallel_for(groups * groups, threads, [&](int64_t shard, int) {
    const int64_t round = shard / groups, group = shard % groups;
    if (round > 0) {
      done[shard - groups].wait(false);
      done[(round - 1) * groups + (group + 1) % groups].wait(false);
    }
    const int64_t* block = starts.data() + group * groups + (group + round) % groups;
    loss[shard] = run(ratings, block[0], block[1], model, step);
    done[shard] = true;
    done[shard].notify_all();
  });
  double total = 0;
  for (double part : loss) total += part;
  return total;
}

}  // namespace
}  // namespace tastemaker

void bind_sgd(nanobind::module_& m) {
  m.attr("sgd_widths") = std::vector<int64_t>(std::begin(tastemaker::WIDTHS), std::end(tastemaker::WIDTHS));
  m.def("sgd_epoch", &tastemaker::epoch);
}
