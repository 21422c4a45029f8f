#include "tasks/verify.h"

#include <algorithm>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "core/text.h"
#include "tasks/compare.h"

namespace portfire {
namespace {

StageResult result_of(std::int64_t sample, const std::string& key) {
  StageResult result;
  result.sample = sample;
  const auto slash = key.find('/');
  result.stage = key.substr(0, slash);
  result.output = slash == std::string::npos ? "" : key.substr(slash + 1);
  return result;
}

Tolerance widened(Tolerance tolerance, double max_error) {
  if (!is_floating_point(tolerance.dtype)) return tolerance;
  tolerance.atol = std::max(tolerance.atol, max_error);
  tolerance.rtol = std::max(tolerance.rtol, max_error);
  return tolerance;
}

void replay_one(const Manifest& manifest, const GoldenBytes& bytes, const Pipeline& pipeline, double max_error, std::int64_t index,
                std::vector<StageResult>& results) {
  const GoldenSample& golden = manifest.golden[static_cast<std::size_t>(index)];
  try {
    const auto expected = decode_safetensors(bytes.expected, golden.expected);
    const auto actual = pipeline.trace(Input::bytes(bytes.input, golden.input));
    for (const NamedTensor& output : actual) {  // in the order of the stages
      StageResult result = result_of(index, output.name);
      const auto found = std::find_if(expected.begin(), expected.end(), [&](const auto& e) { return e.name == output.name; });
      if (found == expected.end()) {
        result.problem = cat("the golden sample has no ", output.name);
      } else {
        result.tolerance = widened(manifest.tolerance(output.tensor.dtype()), max_error);
        const Difference difference = compare(output.tensor, found->tensor, result.tolerance);
        result.max_abs_error = difference.max_abs;
        result.max_rel_error = difference.max_rel;
        result.passed = difference.within;
        result.problem = difference.problem;
      }
      results.push_back(result);
    }
    for (const NamedTensor& stored : expected) {
      const auto given = [&](const NamedTensor& output) { return output.name == stored.name; };
      if (std::any_of(actual.begin(), actual.end(), given)) continue;
      StageResult result = result_of(index, stored.name);
      result.problem = "no stage gives it";
      results.push_back(result);
    }
  } catch (const Error& error) {
    StageResult result = result_of(index, "run");
    result.problem = error.what();
    results.push_back(result);
  }
}

}  // namespace

std::vector<GoldenBytes> read_golden(const Package& package) {
  std::vector<GoldenBytes> all;
  if (!package.manifest) return all;
  for (const GoldenSample& golden : package.manifest->golden) {
    all.push_back({package.file(golden.input), package.file(golden.expected)});
  }
  return all;
}

std::vector<StageResult> replay_golden(const Manifest& manifest, std::span<const GoldenBytes> golden,
                                       const Pipeline& pipeline, double max_error) {
  std::vector<StageResult> results;
  for (std::size_t k = 0; k < golden.size(); ++k) {
    replay_one(manifest, golden[k], pipeline, max_error, static_cast<std::int64_t>(k), results);
  }
  return results;
}

}  // namespace portfire
