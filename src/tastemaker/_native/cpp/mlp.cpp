// A small network for every pair of a query and an item: the first layer's sum of both parts, then dense layers to one number.
// Pairs lie side by side in the lanes, kPanel items of one query at a time, and each number is one chain of multiply-adds over its
// inputs: a score has the same bits alone or in any batch.
#include <algorithm>
#include <vector>

#include "arrays.hpp"
#include "microkernel.hpp"
#include "parallel.hpp"

namespace tastemaker {
namespace {

constexpr int64_t kQueries = 32, kPanels = 16;  // of a shard: an item's panel is used again while it is in the cache

struct Layer {
  int64_t inputs, outputs;
  std::vector<float> weights;  // in groups of kRows outputs
  const float* bias;
  bool relu;
};

std::vector<Layer> layers_of(const float* weights, const float* biases, Array1<const int32_t> sizes,
                             Array1<const int32_t> relu) {
  std::vector<Layer> layers;
  for (size_t n = 1; n < sizes.size(); ++n) {
    const int64_t inputs = sizes(n - 1), outputs = sizes(n);
    layers.push_back({inputs, outputs, pack_groups(weights, outputs, inputs), biases, relu(n) != 0});
    weights += inputs * outputs;
    biases += outputs;
  }
  return layers;
}

// to[c] = from[c] + add, and 0 for what is below if relu.
void add_to_panel(const float* from, float add, bool relu, float* to) {
  if (relu) {
    for (int c = 0; c < kPanel; ++c) {
      const float sum = from[c] + add;
      to[c] = sum > 0.0f ? sum : 0.0f;
    }
  } else {
    for (int c = 0; c < kPanel; ++c) to[c] = from[c] + add;
  }
}

// R outputs of a layer for one panel, from the registers where they were summed.
template <int R>
void layer_tile(const float* weights, const float* from, const float* bias, bool relu, int64_t inputs, float* to) {
  alignas(64) static constexpr float zeros[kPanel] = {};
  Tile<R> tile(weights, from, zeros, inputs);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      const Vector sum = tile.sum[r][v] + bias[r];
      store(to + r * kPanel + v * kLanes, relu ? (sum > 0.0f ? sum : Vector{}) : sum);
    }
}

template <int... R>
struct LayerTiles {
  static constexpr decltype(&layer_tile<1>) of[] = {&layer_tile<R + 1>...};  // [rows - 1]
};
template <int... R>
LayerTiles<R...> layer_tiles_for(std::integer_sequence<int, R...>);

void apply(const Layer& layer, const float* from, float* to) {
  using Tiles = decltype(layer_tiles_for(std::make_integer_sequence<int, kRows>{}));
  for (int64_t o = 0; o < layer.outputs; o += kRows) {
    const int64_t rows = std::min<int64_t>(kRows, layer.outputs - o);
    const float* weights = layer.weights.data() + o * layer.inputs;
    Tiles::of[rows - 1](weights, from, layer.bias + o, layer.relu, layer.inputs, to + o * kPanel);
  }
}

// out[q, i] += the network's output for query q and item i. sizes: the width of the hidden layer that queries and items add up to,
// then the outputs of each layer, the last one 1; relu: one for each of them.
void add_pair_scores(Array2<const float> queries, Array3<const float> panels, Array1<const float> weights,
                     Array1<const float> biases, Array1<const int32_t> sizes, Array1<const int32_t> relu, int threads,
                     Array2<float> out) {
  const int64_t rows = out.shape(0), items = out.shape(1), hidden = sizes(0), count = panels.shape(0);
  const std::vector<Layer> layers = layers_of(weights.data(), biases.data(), sizes, relu);
  const int64_t widest = *std::max_element(sizes.data(), sizes.data() + sizes.size());
  const int64_t stretches = (count + kPanels - 1) / kPanels, blocks = (rows + kQueries - 1) / kQueries;
  const float *query = queries.data(), *panel = panels.data();
  const bool first_relu = relu(0) != 0;
  float* const to = out.data();
  parallel_for(stretches * blocks, threads, [&](int64_t shard, int) {
    const int64_t begin = shard / stretches * kQueries, from = shard % stretches * kPanels;
    std::vector<float> memory(2 * widest * kPanel);
    for (int64_t p = from; p < std::min(from + kPanels, count); ++p) {
      const int64_t first = p * kPanel, width = std::min<int64_t>(kPanel, items - first);
      for (int64_t q = begin; q < std::min(begin + kQueries, rows); ++q) {
        float *now = memory.data(), *next = now + widest * kPanel;
        for (int64_t h = 0; h < hidden; ++h)
          add_to_panel(panel + (p * hidden + h) * kPanel, query[q * hidden + h], first_relu, now + h * kPanel);
        for (const Layer& layer : layers) {
          apply(layer, now, next);
          std::swap(now, next);
        }
        for (int64_t c = 0; c < width; ++c) to[q * items + first + c] += now[c];
      }
    }
  });
}

}  // namespace
}  // namespace tastemaker

void bind_mlp(nanobind::module_& m) {
  using nanobind::arg;
  m.def("add_pair_scores", &tastemaker::add_pair_scores, arg("queries"), arg("panels"), arg("weights"), arg("biases"),
        arg("sizes"), arg("relu"), arg("threads"), arg("out").noconvert());
}
