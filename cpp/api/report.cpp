#include <portfire/model.h>

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "core/text.h"

namespace portfire {
namespace {

nlohmann::ordered_json finite(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

bool VerifyReport::passed() const noexcept {
  return !stages.empty() && std::all_of(stages.begin(), stages.end(), [](const StageResult& s) { return s.passed; });
}

std::string VerifyReport::summary() const {
  if (stages.empty()) return "no golden samples: nothing was verified";
  for (const StageResult& stage : stages) {
    if (!stage.passed) {
      return cat("golden sample ", stage.sample, ": ", stage.stage, stage.output.empty() ? "" : "/", stage.output, ": ",
                 stage.problem);
    }
  }
  double worst = 0;
  for (const StageResult& stage : stages) worst = std::max(worst, stage.max_abs_error);
  return cat(stages.back().sample + 1, " golden samples hold; largest error ", worst);
}

std::string VerifyReport::to_json() const {
  nlohmann::ordered_json out;
  out["passed"] = passed();
  out["summary"] = summary();
  out["engine"] = engine;
  out["device"] = device.to_string();
  out["optimization"] = optimization;
  out["precision"] = precision;
  out["stages"] = nlohmann::ordered_json::array();
  for (const StageResult& stage : stages) {
    nlohmann::ordered_json row;
    row["sample"] = stage.sample;
    row["stage"] = stage.stage;
    row["output"] = stage.output;
    row["passed"] = stage.passed;
    row["max_abs_error"] = finite(stage.max_abs_error);
    row["max_rel_error"] = finite(stage.max_rel_error);
    row["atol"] = stage.tolerance.atol;
    row["rtol"] = stage.tolerance.rtol;
    if (!stage.problem.empty()) row["problem"] = stage.problem;
    out["stages"].push_back(std::move(row));
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace portfire
