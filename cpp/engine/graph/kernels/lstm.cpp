#include "engine/graph/kernels/lstm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <utility>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/packed_linear.h"

namespace portfire::graph {
namespace {

struct Layer {
  std::vector<std::shared_ptr<const Kernel>> inputs;  // for each direction
  direct::Recurrence state;
};

class Lstm final : public Kernel {
 public:
  Lstm(const std::vector<std::vector<LstmWeights>>& layers, bool batch_first)
      : batch_first_(batch_first), features_(layers[0][0].input.size(1)), hidden_(layers[0][0].state.size(1)), directions_(static_cast<std::int64_t>(layers[0].size())) {
    for (const std::vector<LstmWeights>& layer : layers) {
      std::vector<std::shared_ptr<const Kernel>> inputs;
      std::vector<at::Tensor> states;
      for (const LstmWeights& weights : layer) {
        const at::Tensor bias = weights.input_bias.defined() ? weights.input_bias + weights.state_bias : at::Tensor();
        inputs.push_back(packed_linear(weights.input, bias, {}));
        states.push_back(weights.state);
      }
      layers_.push_back({.inputs = std::move(inputs), .state = direct::Recurrence(states)});
    }
  }

  void run(torch::jit::Stack& stack) const override {
    at::Tensor x = direct::resolved(stack[0].toTensor());
    const at::Tensor h = direct::resolved(stack[1].toTensor()).contiguous();
    const at::Tensor c = direct::resolved(stack[2].toTensor()).clone(at::MemoryFormat::Contiguous);
    TORCH_CHECK(x.dim() == 3 && x.numel() > 0 && x.size(2) == features_ && x.scalar_type() == at::kFloat, "an LSTM of ", features_, " features does not take ",
                x.scalar_type(), " ", x.sizes());
    if (batch_first_) x = x.transpose(0, 1);
    const std::vector<std::int64_t> sizes{static_cast<std::int64_t>(layers_.size()) * directions_, x.size(1), hidden_};
    for (const at::Tensor& state : {h, c}) {
      TORCH_CHECK(state.sizes() == at::IntArrayRef(sizes) && state.scalar_type() == at::kFloat, "an LSTM's state is ", state.scalar_type(), " ", state.sizes(),
                  "; it has to be float32 ", at::IntArrayRef(sizes));
    }
    std::vector<at::Tensor> last;
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      std::vector<at::Tensor> inputs;
      for (const std::shared_ptr<const Kernel>& linear : layers_[k].inputs) {
        torch::jit::Stack values{x.contiguous()};
        linear->run(values);
        inputs.push_back(values[0].toTensor().contiguous());
      }
      const std::int64_t first = static_cast<std::int64_t>(k) * directions_;
      x = layers_[k].state.run(inputs, h.narrow(0, first, directions_), c.narrow(0, first, directions_));
      last.push_back(x.select(0, x.size(0) - 1).narrow(1, 0, hidden_).unsqueeze(0));
      if (directions_ == 2) last.push_back(x.select(0, 0).narrow(1, hidden_, hidden_).unsqueeze(0));
    }
    stack.clear();
    stack.emplace_back(batch_first_ ? x.transpose(0, 1) : x);
    stack.emplace_back(at::cat(last, 0));
    stack.emplace_back(c);
  }

 private:
  bool batch_first_;
  std::int64_t features_, hidden_, directions_;
  std::vector<Layer> layers_;
};

}  // namespace

std::shared_ptr<const Kernel> lstm(std::vector<std::vector<LstmWeights>> layers, bool batch_first) {
  return std::make_shared<Lstm>(layers, batch_first);
}

}  // namespace portfire::graph
