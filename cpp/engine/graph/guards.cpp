#include "engine/graph/guards.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace portfire::graph {
namespace {

void require(const at::Tensor& tensor, at::IntArrayRef sizes, const char* what) {
  TORCH_CHECK(tensor.defined() && tensor.sizes() == sizes, "an LSTM's ", what, " is ", tensor.defined() ? tensor.sizes() : at::IntArrayRef(), "; it has to be ", sizes);
}

/// PyTorch 2.13 writes past the end of a state of another batch, in inference mode on the CPU.
void guard_lstm(const torch::jit::Stack& arguments) {
  const at::Tensor& x = arguments[0].toTensor();
  const std::vector<at::Tensor> states = arguments[1].toTensorVector();
  const std::vector<at::Tensor> weights = arguments[2].toTensorVector();
  const std::int64_t layers = arguments[4].toInt();
  const std::int64_t directions = arguments[7].toBool() ? 2 : 1;
  TORCH_CHECK(x.dim() == 3, "an LSTM takes three axes, not ", x.sizes());
  TORCH_CHECK(states.size() == 2 && states[0].dim() == 3 && states[1].dim() == 3, "an LSTM takes two states of three axes");
  const auto count = static_cast<std::int64_t>(weights.size());
  TORCH_CHECK(layers > 0 && layers <= count && count % (layers * directions) == 0, "an LSTM of ", layers, " layers was given ", count, " weights");
  const std::int64_t batch = x.size(arguments[8].toBool() ? 0 : 1);
  const std::int64_t out = states[0].size(2);
  const std::int64_t hidden = states[1].size(2);
  require(states[0], {layers * directions, batch, out}, "state");
  require(states[1], {layers * directions, batch, hidden}, "cell");
  const std::int64_t each = count / (layers * directions);
  const std::int64_t plain = arguments[3].toBool() ? 4 : 2;
  TORCH_CHECK(each == plain || each == plain + 1, "an LSTM of ", layers, " layers was given ", count, " weights");
  TORCH_CHECK(each == plain + 1 || out == hidden, "an LSTM's state is ", states[0].sizes(), " and its cell ", states[1].sizes());
  for (std::int64_t k = 0; k < count; k += each) {
    const auto at_offset = [&](std::int64_t offset) -> const at::Tensor& { return weights[static_cast<std::size_t>(k + offset)]; };
    require(at_offset(0), {4 * hidden, k < directions * each ? x.size(2) : directions * out}, "weight");
    require(at_offset(1), {4 * hidden, out}, "weight");
    for (std::int64_t bias = 2; bias < plain; ++bias) require(at_offset(bias), {4 * hidden}, "bias");
    if (each > plain) require(at_offset(plain), {out, hidden}, "projection");
  }
}

}  // namespace

Guard find_guard(std::string_view name, std::string_view overload) { return name == "aten::lstm" && overload == "input" ? guard_lstm : nullptr; }

}  // namespace portfire::graph
