#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

#include "core/engine.h"
#include "core/input_statistics.h"

namespace portfire::serving {

/// The population stability index of what is seen against what was expected: the sum of (q - p) ln(q / p) over the bins, with half
/// a sample more in each so that an empty one is not infinitely far. As many bins in both, at least one.
double population_stability_index(std::span<const std::int64_t> expected, std::span<const std::uint64_t> seen);

/// How the samples that a model is given lie against those that its package has statistics of. Refers to the engine. Thread-safe.
class Drift {
 public:
  static constexpr std::size_t kWindow = 1000;  ///< the last samples, which the index is of
  static constexpr std::size_t kLeast = 200;    ///< no index of fewer
  static constexpr std::int64_t kMostRows = 256;      ///< of one call of `forward`; of more some are looked at
  static constexpr std::int64_t kMostElements = 256;  ///< the same of one channel of a sample

  /// One value for each quantity of each sample, sample by sample; NaN where it has none.
  using Values = std::vector<double>;

  Drift(InputStatistics statistics, const Manifest& manifest, const Engine& engine);

  /// Of one sample: what `preprocess` takes and gives; `sample` may be empty.
  [[nodiscard]] Values of_sample(std::span<const Tensor> decoded, std::span<const Tensor> sample) const;
  /// Of what `forward` takes, each sample of it.
  [[nodiscard]] Values of_batch(std::span<const Tensor> inputs) const;
  /// Its tensors as `of_batch` takes them. Throws kInvalidInput where they are others.
  [[nodiscard]] std::vector<Tensor> in_order(const std::vector<NamedTensor>& call) const;
  [[nodiscard]] Values of_tokens(std::span<const std::int64_t> ids) const;

  /// `label` is the likeliest, of all samples.
  void set_answer(Values& values, std::int64_t label) const;
  /// The greatest of each sample's numbers in what `forward` gave, where it gave float32 [N, labels].
  void set_answers(Values& values, const Tensor& output) const;

  void count(const Values& values);

  struct Seen {
    std::vector<std::uint64_t> counts;  ///< since the model was loaded, by bin
    std::optional<double> index;        ///< of the window; nothing while it has too few
  };
  /// For each quantity.
  [[nodiscard]] std::vector<Seen> seen() const;
  [[nodiscard]] const std::vector<Quantity>& quantities() const noexcept { return quantities_; }
  /// What bin `k` of a quantity is called: its upper bound, or the label.
  [[nodiscard]] std::string bin_name(const Quantity& quantity, std::size_t k) const;

 private:
  struct Counts {
    std::vector<std::uint64_t> all;
    std::vector<std::uint64_t> window;
    std::array<std::uint8_t, kWindow> recent{};  ///< bins, a ring
    std::size_t next = 0;
    std::size_t filled = 0;
  };

  /// Sets the values of the quantities of `input`, number `place`, of each row.
  void measure(std::int64_t place, const Tensor& input, bool has_rows, std::int64_t rows, Values& values) const;

  const std::vector<Quantity> quantities_;
  const std::vector<TensorSpec> inputs_;  ///< of `forward`
  const std::vector<std::string> labels_;
  const Engine& engine_;
  mutable std::mutex mutex_;
  std::vector<Counts> counts_;  ///< under mutex_
};

}  // namespace portfire::serving
