#include "core/input_statistics.h"

#include "core/text.h"

namespace portfire {

std::string Quantity::name() const {
  switch (measure) {
    case Measure::kTokens: return "tokens";
    case Measure::kTokenShare: return cat("token ", token);
    case Measure::kAnswer: return "answer";
    case Measure::kMean:
    case Measure::kSpread: break;
  }
  return cat(input, channel < 0 ? std::string() : cat('[', channel, ']'), measure == Measure::kMean ? " mean" : " spread");
}

}  // namespace portfire
