#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace portfire {

/// What is measured of one sample.
enum class Measure : std::uint8_t {
  kMean,        ///< of an input of `forward`, or of one channel of it
  kSpread,      ///< standard deviation of the same
  kTokens,      ///< how many a text has
  kTokenShare,  ///< how many of them are one id, 0 to 1
  kAnswer,      ///< which label is the likeliest
};

/// How one quantity was distributed over the samples that the model was made or measured with.
struct Quantity {
  Measure measure = Measure::kMean;
  std::string input{};          ///< kMean, kSpread: its name
  std::int64_t place = 0;       ///< its place among the inputs of `forward`
  std::int64_t channel = -1;    ///< kMean, kSpread: on the sample's first axis; -1: the whole sample
  std::int64_t token = 0;       ///< kTokenShare
  std::vector<double> edges{};  ///< ascending; none for kAnswer
  /// Samples of at most edge k and more than edge k - 1; the last are beyond all. For kAnswer samples of each label.
  std::vector<std::int64_t> counts{};

  /// "x mean", "x[2] spread", "tokens", "token 0", "answer".
  [[nodiscard]] std::string name() const;
};

/// A packaged `assets/input_statistics.json`: docs/package-format.md, field by field.
struct InputStatistics {
  std::vector<Quantity> quantities;
};

}  // namespace portfire
