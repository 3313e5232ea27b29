// The loss of neural collaborative filtering and all its gradients in one pass over the examples; ncf.py says what it computes.
//
// A block of users is taken through the layers and back at once; a user's share of the first layer is computed once for all of the
// user's items. Every matrix product is the one below, whatever is transposed. Shards are cut by the batch, and their sums are added
// in order: the same bits for any number of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "arrays.hpp"
#include "parallel.hpp"
#include "products.hpp"

namespace tastemaker {
namespace {

constexpr int64_t kBlock = 16, kUsers = 512;  // users of a block, and of a shard

// A layer, or one side of the first: its weights lie at `at` among the parameters, `stride` from output to output.
struct Layer {
  int64_t inputs, outputs, at, stride, bias;
  std::vector<float> weights, transposed;  // outputs x padded inputs, inputs x padded outputs

  Layer(int64_t inputs, int64_t outputs, int64_t at, int64_t stride, int64_t bias, const float* values)
      : inputs(inputs), outputs(outputs), at(at), stride(stride), bias(bias), weights(outputs * padded(inputs)),
        transposed(inputs * padded(outputs)) {
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t i = 0; i < inputs; ++i)
        weights[o * padded(inputs) + i] = transposed[i * padded(outputs) + o] = values[at + o * stride + i];
  }

  // y += W x, of each row.
  void forward(const float* x, int64_t rows, float* y) const {
    add_product({x, padded(inputs), 1}, rows, transposed.data(), padded(outputs), inputs, y, padded(outputs), padded(outputs));
  }

  // Gradients: of x from those of y, and those of W, added to `sums` (outputs x padded inputs).
  void backward(const float* x, const float* of_y, int64_t rows, float* of_x, float* sums) const {
    std::fill_n(of_x, rows * padded(inputs), 0.0f);
    add_product({of_y, padded(outputs), 1}, rows, weights.data(), padded(inputs), outputs, of_x, padded(inputs), padded(inputs));
    add_product({of_y, 1, padded(outputs)}, outputs, x, padded(inputs), rows, sums, padded(inputs), padded(inputs));
  }
};

struct Network {
  int64_t factors, half, width, bias, last, parameters;
  const float* values;
  std::vector<Layer> layers;  // the user's side of the first, the item's, and the others

  Network(int64_t factors, Array1<const int32_t> tower, const float* values)
      : factors(factors), half(tower.size() ? tower(0) / 2 : 0), width(factors + half), bias(factors), last(factors + 1),
        parameters(last + (tower.size() ? tower(tower.size() - 1) : 0)), values(values) {
    for (size_t n = 1; n < tower.size(); ++n) {
      const int64_t inputs = tower(n - 1), outputs = tower(n), after = parameters + inputs * outputs;
      const int64_t part = n == 1 ? half : inputs;
      for (int64_t from = 0; from < inputs; from += part)
        layers.emplace_back(part, outputs, parameters + from, inputs, after, values);
      parameters = after + outputs;
    }
  }
};

// What one shard works with.
class Pass {
 public:
  Pass(const Network& network, int64_t items, float* gradients)
      : net_(network), items_(items), logits_(kBlock * items), gradients_(gradients) {
    const int64_t examples = kBlock * items;
    for (const Layer& layer : net_.layers) {
      const int64_t rows = &layer == net_.layers.data() ? kBlock : examples;
      inputs_.emplace_back(rows * padded(layer.inputs));
      of_inputs_.emplace_back(rows * padded(layer.inputs));
      sums_.emplace_back(layer.outputs * padded(layer.inputs));
      widest_ = std::max(widest_, padded(layer.outputs));
    }
    output_.resize(examples * widest_);
    of_output_.resize(examples * widest_);
    shared_.resize(kBlock * widest_);
  }

  // Some users' rows, each with its items', of which the first was taken: their loss; their gradients go to `back`.
  double block(const float* rows, int64_t users, const float* weights, float share, float* back) {
    const int64_t step = (items_ + 1) * net_.width;
    std::fill_n(back, users * step, 0.0f);
    product(rows, users, back, nullptr);
    if (!net_.layers.empty()) climb(rows, users);
    double loss = 0;
    for (int64_t e = 0; e < users * items_; ++e) {
      const bool taken = e % items_ == 0;
      const double x = logits_[e], weight = taken && weights ? weights[e / items_] : 1.0f, fade = std::exp(-std::abs(x));
      loss += weight * (std::max(x, 0.0) - (taken ? x : 0.0) + std::log1p(fade));
      logits_[e] = float(weight * share * ((x < 0 ? fade : 1.0) / (1 + fade) - (taken ? 1.0 : 0.0)));
      gradients_[net_.bias] += logits_[e];
    }
    product(rows, users, back, logits_.data());
    if (!net_.layers.empty()) descend(users, back);
    return loss;
  }

  // Add what the blocks have summed up to the gradients.
  void finish() {
    for (size_t n = 0; n < net_.layers.size(); ++n) {
      const Layer& layer = net_.layers[n];
      for (int64_t o = 0; o < layer.outputs; ++o)
        for (int64_t i = 0; i < layer.inputs; ++i)
          gradients_[layer.at + o * layer.stride + i] += sums_[n][o * padded(layer.inputs) + i];
    }
  }

 private:
  // The product's part: begins the logits; or, given their gradients, those of head and rows.
  void product(const float* rows, int64_t users, float* back, const float* of_logits) {
    const int64_t width = net_.width, factors = net_.factors;
    const float* const head = net_.values;
    for (int64_t u = 0, e = 0; u < users; ++u) {
      const float* const user = rows + u * (items_ + 1) * width;
      float* const of_user = back + u * (items_ + 1) * width;
      for (int64_t n = 1; n <= items_; ++n, ++e) {
        const float* const item = user + n * width;
        if (!of_logits) {
          float sum = net_.values[net_.bias];
          for (int64_t f = 0; f < factors; ++f) sum += head[f] * user[f] * item[f];
          logits_[e] = sum;
          continue;
        }
        const float g = of_logits[e];
        float* const of_item = of_user + n * width;
        for (int64_t f = 0; f < factors; ++f) {
          gradients_[f] += g * user[f] * item[f];
          of_user[f] += g * head[f] * item[f];
          of_item[f] = g * head[f] * user[f];
        }
      }
    }
  }

  // Up the tower: add its part to the logits.
  void climb(const float* rows, int64_t users) {
    const int64_t examples = users * items_, wide = padded(net_.layers[0].outputs);
    for (int64_t u = 0; u < users; ++u)
      for (int64_t n = 0; n <= items_; ++n) {
        const float* const vector = rows + (u * (items_ + 1) + n) * net_.width + net_.factors;
        float* const to = n ? inputs_[1].data() + (u * items_ + n - 1) * padded(net_.half) : inputs_[0].data() + u * padded(net_.half);
        std::copy_n(vector, net_.half, to);
      }
    begin(net_.layers[0], users, shared_.data());
    net_.layers[0].forward(inputs_[0].data(), users, shared_.data());
    for (size_t n = 1; n < net_.layers.size(); ++n) {
      const Layer& layer = net_.layers[n];
      float* const to = n + 1 < net_.layers.size() ? inputs_[n + 1].data() : output_.data();
      if (n > 1) begin(layer, examples, to);
      else
        for (int64_t e = 0; e < examples; ++e) std::copy_n(shared_.data() + e / items_ * wide, wide, to + e * wide);
      layer.forward(inputs_[n].data(), examples, to);
      for (int64_t x = 0; x < examples * padded(layer.outputs); ++x) to[x] = std::max(to[x], 0.0f);
    }
    const Layer& top = net_.layers.back();
    for (int64_t e = 0; e < examples; ++e)
      for (int64_t o = 0; o < top.outputs; ++o) logits_[e] += net_.values[net_.last + o] * output_[e * padded(top.outputs) + o];
  }

  void begin(const Layer& layer, int64_t rows, float* to) const {
    std::fill_n(to, rows * padded(layer.outputs), 0.0f);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(net_.values + layer.bias, layer.outputs, to + r * padded(layer.outputs));
  }

  // Down again, from the gradients of the logits.
  void descend(int64_t users, float* back) {
    const int64_t examples = users * items_;
    const Layer& top = net_.layers.back();
    std::fill_n(of_output_.data(), examples * padded(top.outputs), 0.0f);
    for (int64_t e = 0; e < examples; ++e)
      for (int64_t o = 0; o < top.outputs; ++o) {
        gradients_[net_.last + o] += logits_[e] * output_[e * padded(top.outputs) + o];
        of_output_[e * padded(top.outputs) + o] = logits_[e] * net_.values[net_.last + o];
      }
    for (size_t n = net_.layers.size() - 1; n > 0; --n) {
      const bool is_top = n + 1 == net_.layers.size();
      const Layer& layer = net_.layers[n];
      const int64_t wide = padded(layer.outputs);
      const float* const reached = is_top ? output_.data() : inputs_[n + 1].data();
      float* const gradient = is_top ? of_output_.data() : of_inputs_[n + 1].data();
      for (int64_t x = 0; x < examples * wide; ++x) gradient[x] = reached[x] > 0 ? gradient[x] : 0.0f;
      for (int64_t e = 0; e < examples; ++e)
        for (int64_t o = 0; o < layer.outputs; ++o) gradients_[layer.bias + o] += gradient[e * wide + o];
      layer.backward(inputs_[n].data(), gradient, examples, of_inputs_[n].data(), sums_[n].data());
      if (n > 1) continue;
      std::fill_n(shared_.data(), users * wide, 0.0f);
      for (int64_t e = 0; e < examples; ++e)
        for (int64_t o = 0; o < wide; ++o) shared_[e / items_ * wide + o] += gradient[e * wide + o];
      net_.layers[0].backward(inputs_[0].data(), shared_.data(), users, of_inputs_[0].data(), sums_[0].data());
    }
    for (int64_t u = 0; u < users; ++u)
      for (int64_t n = 0; n <= items_; ++n) {
        const float* const from =
            n ? of_inputs_[1].data() + (u * items_ + n - 1) * padded(net_.half) : of_inputs_[0].data() + u * padded(net_.half);
        std::copy_n(from, net_.half, back + (u * (items_ + 1) + n) * net_.width + net_.factors);
      }
  }

  const Network& net_;
  int64_t items_, widest_ = 0;
  std::vector<float> logits_;
  float* gradients_;
  std::vector<std::vector<float>> inputs_, of_inputs_, sums_;  // of each layer; an input is the output of the layer below
  std::vector<float> output_, of_output_, shared_;
};

// The mean loss. rows: users x (1 + items) x width; weights: one for each user, or none; tower: its sizes, or none.
double ncf_gradients(Array3<const float> rows, Array1<const float> weights, int64_t factors, Array1<const int32_t> tower,
                     Array1<const float> parameters, int threads, Array3<float> row_gradients,
                     Array1<float> parameter_gradients) {
  const Network network(factors, tower, parameters.data());
  if (network.parameters != int64_t(parameters.size()) || network.width != int64_t(rows.shape(2)))
    throw nb::value_error("parameters or rows do not fit the sizes");
  const int64_t users = rows.shape(0), items = int64_t(rows.shape(1)) - 1, step = (items + 1) * network.width;
  const int64_t shards = (users + kUsers - 1) / kUsers;
  const float share = 1.0f / float(users * items);
  std::vector<std::vector<float>> sums(shards, std::vector<float>(network.parameters));
  std::vector<double> losses(shards);
  const float *from = rows.data(), *weight = weights.size() ? weights.data() : nullptr;
  float* const back = row_gradients.data();
  parallel_for(shards, threads, [&](int64_t shard, int) {
    Pass pass(network, items, sums[shard].data());
    const int64_t end = std::min(users, (shard + 1) * kUsers);
    for (int64_t u = shard * kUsers; u < end; u += kBlock)
      losses[shard] += pass.block(from + u * step, std::min(kBlock, end - u), weight ? weight + u : nullptr, share, back + u * step);
    pass.finish();
  });
  float* const to = parameter_gradients.data();
  std::fill_n(to, network.parameters, 0.0f);
  double loss = 0;
  for (int64_t shard = 0; shard < shards; ++shard) {
    loss += losses[shard];
    for (int64_t p = 0; p < network.parameters; ++p) to[p] += sums[shard][p];
  }
  return loss / double(users * items);
}

}  // namespace
}  // namespace tastemaker

void bind_ncf(nanobind::module_& m) {
  using nanobind::arg;
  m.def("ncf_gradients", &tastemaker::ncf_gradients, arg("rows"), arg("weights"), arg("factors"), arg("tower"),
        arg("parameters"), arg("threads"), arg("row_gradients").noconvert(), arg("parameter_gradients").noconvert());
}
