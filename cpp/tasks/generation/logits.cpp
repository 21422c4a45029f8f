#include "tasks/generation/logits.h"

#include <algorithm>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

constexpr std::int64_t kBlock = 64;  // tokens by which the part of the cache grows that `forward` sees

const MethodSpec& forward_of(const Manifest& manifest) { return *manifest.method("forward"); }

}  // namespace

std::span<const TensorSpec> state_of(const Manifest& manifest) { return std::span(forward_of(manifest).inputs).subspan(3); }

std::int64_t vocabulary_of(const Manifest& manifest) { return forward_of(manifest).outputs.front().shape.back().size; }

Tensor logits_after(const Engine& engine, const Manifest& manifest, const GenerationState& state, const Reading& reading, std::int64_t room) {
  const Dims shape{reading.rows, static_cast<std::int64_t>(reading.ids.size()) / reading.rows};
  const std::int64_t reached = *std::max_element(reading.positions.begin(), reading.positions.end()) + 1;
  const std::int64_t seen = std::min(room, (reached + kBlock - 1) / kBlock * kBlock);
  const auto wanted = static_cast<std::int64_t>(reading.select.size());
  std::vector<Tensor> inputs{Tensor::copy_of(reading.ids, shape), Tensor::copy_of(reading.positions, shape), Tensor::copy_of(reading.select, {wanted})};
  for (Tensor& part : state.view(reading.first_row, reading.rows, seen)) inputs.push_back(std::move(part));
  const std::vector<Tensor> outputs = engine.forward_in_place(inputs);
  const Dims logits{wanted, vocabulary_of(manifest)};
  if (outputs.empty() || outputs[0].dtype() != DType::kFloat32 || outputs[0].shape() != logits) {
    throw Error(ErrorCode::kInvalidPackage, cat(manifest.name, ": forward gave ", outputs.empty() ? "nothing" : outputs[0].to_string(0),
                                                "; logits float32 ", logits.to_string(), " are needed"));
  }
  return engine.to_cpu(outputs[0]).contiguous();
}

std::vector<std::int64_t> counted(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t k = 0; k < count; ++k) numbers.push_back(first + k);
  return numbers;
}

Tensor score(const Engine& engine, const Manifest& manifest, std::span<const std::int64_t> ids) {
  const auto count = static_cast<std::int64_t>(ids.size()) - 1;
  const std::int64_t together = (count + 1) / 2;
  const GenerationState state(state_of(manifest), 1, count);
  Tensor all = Tensor::zeros(DType::kFloat32, {count, vocabulary_of(manifest)});
  auto* target = static_cast<float*>(all.mutable_data());
  for (std::int64_t first = 0; first < count;) {
    const std::int64_t part = first == 0 ? together : 1;
    const Reading reading{.ids = {ids.begin() + first, ids.begin() + first + part}, .positions = counted(first, part), .select = counted(0, part)};
    const Tensor logits = logits_after(engine, manifest, state, reading, count);
    const auto values = logits.values<float>();
    target = std::copy(values.begin(), values.end(), target);
    first += part;
  }
  return all;
}

}  // namespace portfire
