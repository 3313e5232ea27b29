// Dense layers with ReLU and dropout in training, forth and back; tower.py says what they compute.
//
// A block of examples is taken through all layers while it lies in the caches. Shards are cut by the batch, and their sums are added
// in order: the same bits for any number of threads.
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <vector>

#include "arrays.hpp"
#include "parallel.hpp"
#include "products.hpp"
#include "scrambled.hpp"

namespace tastemaker {
namespace {

constexpr int64_t kBlock = 128, kShard = 1024;  // examples

using Matrix = Array2<const float>;

// max(0, x) · scale where 31 random bits are below `keep`, else 0; the first number is the `first` of its layer.
void relu_dropout(const float* x, int64_t n, uint32_t key, uint32_t first, uint32_t keep, float scale, float* out) {
  for (int64_t j = 0; j < n; ++j) {
    const float value = x[j] <= 0.0f ? 0.0f : x[j] * scale;  // NaN stays
    out[j] = (scrambled(key, first + uint32_t(j)) >> 1) < keep ? value : 0.0f;
  }
}

void relu(const float* x, int64_t n, float* out) {
  for (int64_t j = 0; j < n; ++j) out[j] = x[j] <= 0.0f ? 0.0f : x[j];
}

// A layer's weights, copied so that rows are whole lanes: outputs x padded inputs, or transposed, inputs x padded outputs.
struct Weights {
  int64_t inputs, outputs;
  std::vector<float> values;

  Weights(const Matrix& from, bool transposed) : inputs(from.shape(1)), outputs(from.shape(0)) {
    values.resize(transposed ? inputs * padded(outputs) : outputs * padded(inputs));
    const int64_t of_output = transposed ? 1 : padded(inputs), of_input = transposed ? padded(outputs) : 1;
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t i = 0; i < inputs; ++i) values[o * of_output + i * of_input] = from.data()[o * inputs + i];
  }
};

std::vector<Weights> prepared(const std::vector<Matrix>& weights, bool transposed) {
  std::vector<Weights> found;
  for (const Matrix& layer : weights) found.emplace_back(layer, transposed);
  return found;
}

int64_t widest(const std::vector<Weights>& layers) {
  int64_t width = 0;
  for (const Weights& layer : layers) width = std::max({width, padded(layer.inputs), padded(layer.outputs)});
  return width;
}

// Calls body(start, rows) for each block of a shard of n examples.
template <class Body>
void for_each_block(int64_t shard, int64_t n, Body&& body) {
  const int64_t end = std::min(n, (shard + 1) * kShard);
  for (int64_t start = shard * kShard; start < end; start += kBlock) body(start, std::min(kBlock, end - start));
}

int64_t shards_of(int64_t n) { return (n + kShard - 1) / kShard; }

// hidden[l] = what layer l gives for the examples x.
void tower_forward(Matrix x, const std::vector<Matrix>& weights, const std::vector<Array1<const float>>& biases,
                   Array1<const uint32_t> keys, uint32_t keep, float scale, int threads,
                   const std::vector<Array2<float>>& hidden) {
  const std::vector<Weights> layers = prepared(weights, true);
  const int64_t n = x.shape(0), wide = widest(layers);
  parallel_for(shards_of(n), threads, [&](int64_t shard, int) {
    std::vector<float> sums(kBlock * wide);
    for_each_block(shard, n, [&](int64_t start, int64_t rows) {
      for (size_t l = 0; l < layers.size(); ++l) {
        const int64_t inputs = layers[l].inputs, outputs = layers[l].outputs, step = padded(outputs);
        const float* const from = (l ? hidden[l - 1].data() : x.data()) + start * inputs;
        for (int64_t r = 0; r < rows; ++r) std::copy_n(biases[l].data(), outputs, sums.data() + r * step);
        add_product({from, inputs, 1}, rows, layers[l].values.data(), step, inputs, sums.data(), step, step);
        for (int64_t r = 0; r < rows; ++r) {
          float* const to = hidden[l].data() + (start + r) * outputs;
          if (scale == 1.0f) relu(sums.data() + r * step, outputs, to);
          else relu_dropout(sums.data() + r * step, outputs, keys(l), uint32_t((start + r) * outputs), keep, scale, to);
        }
      }
    });
  });
}

// The sums of one shard, of each layer: gradients of the weights (outputs x padded inputs), then of the biases.
class Descent {
 public:
  Descent(const std::vector<Weights>& layers, float scale)
      : layers_(layers), scale_(scale), wide_(widest(layers)), x_(kBlock * wide_), of_x_(kBlock * wide_), of_y_(kBlock * wide_) {
    for (const Weights& layer : layers) {
      weights.emplace_back(layer.outputs * padded(layer.inputs));
      biases.emplace_back(layer.outputs);
    }
  }

  // Some examples: inputs[l] is what layer l was given, `of_top` the gradient of what the last one gave; `of_bottom` takes that of x.
  void block(const std::vector<const float*>& inputs, const float* of_top, int64_t rows, float* of_bottom) {
    const float* of_given = of_top;
    int64_t of_given_step = layers_.back().outputs;
    for (size_t l = layers_.size(); l-- > 0;) {
      const int64_t in = layers_[l].inputs, out = layers_[l].outputs, step = padded(in);
      before_relu(inputs[l + 1], of_given, of_given_step, rows, out, biases[l].data());
      for (int64_t r = 0; r < rows; ++r) std::copy_n(inputs[l] + r * in, in, x_.data() + r * step);
      add_product({of_y_.data(), 1, out}, out, x_.data(), step, rows, weights[l].data(), step, step);
      std::fill_n(of_x_.data(), rows * step, 0.0f);
      add_product({of_y_.data(), out, 1}, rows, layers_[l].values.data(), step, out, of_x_.data(), step, step);
      of_given = of_x_.data();
      of_given_step = step;
    }
    for (int64_t r = 0; r < rows; ++r) std::copy_n(of_x_.data() + r * of_given_step, layers_[0].inputs, of_bottom + r * layers_[0].inputs);
  }

  std::vector<std::vector<float>> weights, biases;

 private:
  // The gradient before ReLU and dropout, from that after them: 0 where they gave 0. Added up it is that of the bias.
  void before_relu(const float* given, const float* of_given, int64_t step, int64_t rows, int64_t width, float* sums) {
    float* to = of_y_.data();
    for (int64_t r = 0; r < rows; ++r, given += width, of_given += step, to += width)
      for (int64_t j = 0; j < width; ++j) {
        const float scaled = of_given[j] * scale_;
        sums[j] += to[j] = given[j] > 0.0f ? scaled : 0.0f;
      }
  }

  const std::vector<Weights>& layers_;
  float scale_;
  int64_t wide_;
  std::vector<float> x_, of_x_, of_y_;
};

// The gradients of all that tower_forward was given, from that of what its last layer gave.
void tower_backward(Matrix x, const std::vector<Matrix>& weights, const std::vector<Matrix>& hidden, Matrix gradient,
                    float scale, int threads, Array2<float> of_x, const std::vector<Array2<float>>& of_weights,
                    const std::vector<Array1<float>>& of_biases) {
  const std::vector<Weights> layers = prepared(weights, false);
  const int64_t n = x.shape(0), width = x.shape(1), top = gradient.shape(1);
  std::vector<Descent> found(shards_of(n), Descent(layers, scale));
  parallel_for(shards_of(n), threads, [&](int64_t shard, int) {
    for_each_block(shard, n, [&](int64_t start, int64_t rows) {
      std::vector<const float*> inputs{x.data() + start * width};
      for (size_t l = 0; l < layers.size(); ++l) inputs.push_back(hidden[l].data() + start * layers[l].outputs);
      found[shard].block(inputs, gradient.data() + start * top, rows, of_x.data() + start * width);
    });
  });
  for (size_t l = 0; l < layers.size(); ++l) {
    const int64_t inputs = layers[l].inputs, outputs = layers[l].outputs;
    float *const to = of_weights[l].data(), *const bias = of_biases[l].data();
    std::fill_n(to, outputs * inputs, 0.0f);
    std::fill_n(bias, outputs, 0.0f);
    for (const Descent& one : found)
      for (int64_t o = 0; o < outputs; ++o) {
        bias[o] += one.biases[l][o];
        for (int64_t i = 0; i < inputs; ++i) to[o * inputs + i] += one.weights[l][o * padded(inputs) + i];
      }
  }
}

}  // namespace
}  // namespace tastemaker

void bind_tower(nanobind::module_& m) {
  using nanobind::arg;
  m.def("tower_forward", &tastemaker::tower_forward, arg("x"), arg("weights"), arg("biases"), arg("keys"), arg("keep"),
        arg("scale"), arg("threads"), arg("hidden").noconvert());
  m.def("tower_backward", &tastemaker::tower_backward, arg("x"), arg("weights"), arg("hidden"), arg("gradient"),
        arg("scale"), arg("threads"), arg("of_x").noconvert(), arg("of_weights").noconvert(),
        arg("of_biases").noconvert());
}
