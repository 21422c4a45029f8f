#include "serving/drift.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/half.h"
#include "tasks/check.h"

namespace portfire::serving {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Moments {
  double mean = kNone;
  double spread = kNone;
};

/// Which of `count` elements is looked at as number k of `kMostElements`: multiples of the golden ratio, for even steps would walk
/// along a column of some picture. portfire/_statistics.py has the same.
std::int64_t place_of(std::uint64_t k, std::uint64_t count) {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;
  return static_cast<std::int64_t>(((k * kGolden >> 32) * count) >> 32);
}

template <typename T, typename Convert>
Moments moments(const T* at, std::int64_t count, Convert convert) {
  count = std::min(count, std::int64_t{std::numeric_limits<std::uint32_t>::max()});
  if (count == 0) return {};
  const std::int64_t looked = std::min(count, Drift::kMostElements);
  // About the first element: a small spread about a large mean is not lost.
  const double first = convert(at[0]);
  double sum = 0;
  double squares = 0;
  for (std::int64_t k = 0; k < looked; ++k) {
    const double x = convert(at[looked == count ? k : place_of(static_cast<std::uint64_t>(k), static_cast<std::uint64_t>(count))]) - first;
    sum += x;
    squares += x * x;
  }
  const double mean = sum / static_cast<double>(looked);
  return {first + mean, std::sqrt(std::max(0.0, squares / static_cast<double>(looked) - mean * mean))};
}

template <typename T>
Moments moments_of(const void* data, std::int64_t from, std::int64_t count) {
  return moments(static_cast<const T*>(data) + from, count, [](T value) { return static_cast<double>(value); });
}

/// Of `count` elements of a contiguous tensor on the CPU.
Moments moments(const Tensor& tensor, std::int64_t from, std::int64_t count) {
  const void* data = tensor.data();
  switch (tensor.dtype()) {
    case DType::kBool:
    case DType::kUInt8: return moments_of<std::uint8_t>(data, from, count);
    case DType::kInt8: return moments_of<std::int8_t>(data, from, count);
    case DType::kInt16: return moments_of<std::int16_t>(data, from, count);
    case DType::kInt32: return moments_of<std::int32_t>(data, from, count);
    case DType::kInt64: return moments_of<std::int64_t>(data, from, count);
    case DType::kFloat16: return moments(static_cast<const std::uint16_t*>(data) + from, count, float_from_half);
    case DType::kBFloat16: return moments(static_cast<const std::uint16_t*>(data) + from, count, float_from_bfloat16);
    case DType::kFloat32: return moments_of<float>(data, from, count);
    case DType::kFloat64: return moments_of<double>(data, from, count);
  }
  return {};
}

bool is_of_input(const Quantity& quantity) { return quantity.measure == Measure::kMean || quantity.measure == Measure::kSpread; }

bool has_samples_first(const TensorSpec& spec) { return !spec.shape.empty() && !spec.shape.front().symbol.empty(); }

/// The row that number k of `shown` stands for.
std::int64_t row_of(std::int64_t k, std::int64_t shown, std::int64_t rows) { return k * rows / shown; }

}  // namespace

double population_stability_index(std::span<const std::int64_t> expected, std::span<const std::uint64_t> seen) {
  const double half = 0.5;
  const double bins = static_cast<double>(expected.size());
  const double all_expected = std::accumulate(expected.begin(), expected.end(), half * bins);
  const double all_seen = std::accumulate(seen.begin(), seen.end(), half * bins);
  double index = 0;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const double p = (static_cast<double>(expected[k]) + half) / all_expected;
    const double q = (static_cast<double>(seen[k]) + half) / all_seen;
    index += (q - p) * std::log(q / p);
  }
  return index;
}

Drift::Drift(InputStatistics statistics, const Manifest& manifest, const Engine& engine)
    : quantities_(std::move(statistics.quantities)), inputs_(manifest.method("forward")->inputs), labels_(manifest.labels), engine_(engine) {
  for (const Quantity& quantity : quantities_) {
    Counts& counts = counts_.emplace_back();
    counts.all.resize(quantity.counts.size());
    counts.window.resize(quantity.counts.size());
  }
}

Drift::Values Drift::of_sample(std::span<const Tensor> decoded, std::span<const Tensor> sample) const {
  Values values(quantities_.size(), kNone);
  const bool is_text = decoded.size() == 1 && decoded[0].dtype() == DType::kInt64 && decoded[0].rank() == 1;
  if (is_text) values = of_tokens(decoded[0].contiguous().values<std::int64_t>());
  for (std::size_t k = 0; k < sample.size(); ++k) measure(static_cast<std::int64_t>(k), sample[k], false, 1, values);
  return values;
}

Drift::Values Drift::of_batch(std::span<const Tensor> inputs) const {
  std::int64_t rows = 1;
  for (std::size_t k = 0; k < std::min(inputs.size(), inputs_.size()); ++k) {
    if (!has_samples_first(inputs_[k]) || inputs[k].rank() == 0) continue;
    rows = inputs[k].shape()[0];
    break;
  }
  Values values(quantities_.size() * static_cast<std::size_t>(std::min(rows, kMostRows)), kNone);
  for (std::size_t k = 0; k < std::min(inputs.size(), inputs_.size()); ++k) measure(static_cast<std::int64_t>(k), inputs[k], has_samples_first(inputs_[k]), rows, values);
  return values;
}

std::vector<Tensor> Drift::in_order(const std::vector<NamedTensor>& call) const {
  std::vector<std::string> names;
  for (const TensorSpec& spec : inputs_) names.push_back(spec.name);
  return portfire::in_order(names, call, "");
}

Drift::Values Drift::of_tokens(std::span<const std::int64_t> ids) const {
  Values values(quantities_.size(), kNone);
  for (std::size_t k = 0; k < values.size(); ++k) {
    const Quantity& quantity = quantities_[k];
    if (quantity.measure == Measure::kTokens) values[k] = static_cast<double>(ids.size());
    if (quantity.measure == Measure::kTokenShare && !ids.empty()) {
      values[k] = static_cast<double>(std::count(ids.begin(), ids.end(), quantity.token)) / static_cast<double>(ids.size());
    }
  }
  return values;
}

void Drift::measure(std::int64_t place, const Tensor& input, bool has_rows, std::int64_t rows, Values& values) const {
  const auto is_asked = [&](const Quantity& one) { return is_of_input(one) && one.place == place; };
  if (std::none_of(quantities_.begin(), quantities_.end(), is_asked)) return;
  const Tensor plain = (input.device().kind == Device::Kind::kCpu ? input : engine_.to_cpu(input)).contiguous();
  const std::size_t axis = has_rows ? 1 : 0;  // the first of a sample
  const std::int64_t own = has_rows ? plain.shape()[0] : 1;
  if (own == 0 || plain.numel() == 0) return;
  const std::int64_t each = plain.numel() / own;
  const auto shown = static_cast<std::int64_t>(values.size() / quantities_.size());
  for (std::int64_t row = 0; row < shown; ++row) {
    const std::int64_t at = row_of(row, shown, rows);
    if (at >= own) break;
    Moments found;
    std::int64_t channel = -2;  // what `found` is of
    for (std::size_t k = 0; k < quantities_.size(); ++k) {
      const Quantity& quantity = quantities_[k];
      if (!is_asked(quantity)) continue;
      if (quantity.channel != channel) {
        channel = quantity.channel;
        const std::int64_t channels = channel < 0 || plain.rank() <= axis ? 1 : plain.shape()[axis];
        found = channel >= channels ? Moments{} : moments(plain, at * each + std::max<std::int64_t>(channel, 0) * (each / channels), each / channels);
      }
      values[static_cast<std::size_t>(row) * quantities_.size() + k] = quantity.measure == Measure::kMean ? found.mean : found.spread;
    }
  }
}

void Drift::set_answer(Values& values, std::int64_t label) const {
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (quantities_[k % quantities_.size()].measure == Measure::kAnswer) values[k] = static_cast<double>(label);
  }
}

void Drift::set_answers(Values& values, const Tensor& output) const {
  const auto found = std::find_if(quantities_.begin(), quantities_.end(), [](const Quantity& one) { return one.measure == Measure::kAnswer; });
  const auto number = static_cast<std::size_t>(found - quantities_.begin());
  const auto labels = static_cast<std::int64_t>(labels_.size());
  if (found == quantities_.end() || output.dtype() != DType::kFloat32 || output.rank() != 2 || output.shape()[1] != labels) return;
  const Tensor plain = (output.device().kind == Device::Kind::kCpu ? output : engine_.to_cpu(output)).contiguous();
  const auto shown = static_cast<std::int64_t>(values.size() / quantities_.size());
  for (std::int64_t row = 0; row < shown && plain.shape()[0] > 0; ++row) {
    const float* at = static_cast<const float*>(plain.data()) + row_of(row, shown, plain.shape()[0]) * labels;
    values[static_cast<std::size_t>(row) * quantities_.size() + number] = static_cast<double>(std::max_element(at, at + labels) - at);
  }
}

void Drift::count(const Values& values) {
  const std::lock_guard lock(mutex_);
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::isnan(values[k])) continue;
    const Quantity& quantity = quantities_[k % quantities_.size()];
    Counts& counts = counts_[k % quantities_.size()];
    const auto bin = quantity.measure == Measure::kAnswer
                         ? static_cast<std::size_t>(values[k])
                         : static_cast<std::size_t>(std::lower_bound(quantity.edges.begin(), quantity.edges.end(), values[k]) - quantity.edges.begin());
    ++counts.all[bin];
    ++counts.window[bin];
    if (counts.filled == kWindow) {
      --counts.window[counts.recent[counts.next]];
    } else {
      ++counts.filled;
    }
    counts.recent[counts.next] = static_cast<std::uint8_t>(bin);
    counts.next = (counts.next + 1) % kWindow;
  }
}

std::vector<Drift::Seen> Drift::seen() const {
  std::vector<Seen> all;
  const std::lock_guard lock(mutex_);
  for (std::size_t k = 0; k < counts_.size(); ++k) {
    Seen& one = all.emplace_back(Seen{.counts = counts_[k].all, .index = std::nullopt});
    if (counts_[k].filled >= kLeast) one.index = population_stability_index(quantities_[k].counts, counts_[k].window);
  }
  return all;
}

std::string Drift::bin_name(const Quantity& quantity, std::size_t k) const {
  if (quantity.measure == Measure::kAnswer) return labels_[k];
  if (k == quantity.edges.size()) return "+Inf";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, quantity.edges[k]).ptr};
}

}  // namespace portfire::serving
