#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/counters.h"

namespace portfire::routes {

/// Names and values of a sample's labels; values are any text.
using Labels = std::vector<std::pair<std::string_view, std::string>>;

/// Writes metrics as Prometheus reads them, its text format 0.0.4: a family's head, then its samples, then the next.
class Exposition {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// `type` is "counter", "gauge" or "histogram"; `help` is one line.
  void family(std::string_view name, std::string_view type, std::string_view help);
  /// Of the family that was begun last.
  void sample(const Labels& labels, double value);
  /// A family of one sample.
  void single(std::string_view name, std::string_view type, std::string_view help, double value);

  /// All series of one histogram: `_bucket` with each bound and "+Inf", `_sum` and `_count`.
  template <std::size_t kBounds>
  void histogram(const Labels& labels, const serving::Histogram<kBounds>& values) {
    std::vector<std::uint64_t> counts(kBounds + 1);
    for (std::size_t k = 0; k <= kBounds; ++k) counts[k] = values.count(k);
    histogram(labels, values.bounds(), counts, values.sum());
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void histogram(const Labels& labels, std::span<const double> bounds, const std::vector<std::uint64_t>& counts, double sum);
  /// A line; `bound` is the value of `le`, or empty.
  void line(std::string_view suffix, const Labels& labels, std::string_view bound, double value);

  std::string text_;
  std::string name_;
};

}  // namespace portfire::routes
