#include "archive/input_statistics.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "archive/json_node.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::string_view kPath = "assets/input_statistics.json";
constexpr std::size_t kMostBytes = std::size_t{1} << 16;
constexpr std::size_t kMostQuantities = 64;
constexpr std::size_t kMostBins = 64;
constexpr std::int64_t kMostSamples = std::int64_t{1} << 40;

constexpr std::array<std::pair<Measure, std::string_view>, 5> kMeasures{{{Measure::kMean, "mean"},
                                                                         {Measure::kSpread, "spread"},
                                                                         {Measure::kTokens, "tokens"},
                                                                         {Measure::kTokenShare, "token_share"},
                                                                         {Measure::kAnswer, "answer"}}};

Measure measure(const JsonNode& node) {
  const std::string name = node.string();
  const auto found = std::find_if(kMeasures.begin(), kMeasures.end(), [&](const auto& row) { return row.second == name; });
  if (found == kMeasures.end()) node.fail(cat(quoted(name), " is not known; one of mean, spread, tokens, token_share, answer"));
  return found->first;
}

void input(const JsonNode& node, const Manifest& manifest, Quantity& quantity) {
  quantity.input = node.at("input").string();
  const std::vector<TensorSpec>& inputs = manifest.method("forward")->inputs;
  const auto found = std::find_if(inputs.begin(), inputs.end(), [&](const TensorSpec& spec) { return spec.name == quantity.input; });
  if (found == inputs.end()) node.at("input").fail(cat(quoted(quantity.input), " is not an input of forward"));
  quantity.place = found - inputs.begin();
  if (!node.has("channel")) return;
  quantity.channel = node.at("channel").integer(0);
  // What is batched has its samples on the first axis.
  const std::size_t axis = !found->shape.empty() && !found->shape.front().symbol.empty() ? 1 : 0;
  if (found->shape.size() <= axis) node.at("channel").fail(cat("a sample of ", quoted(found->name), " has no axis"));
  const Dimension& channels = found->shape[axis];
  if (!channels.symbol.empty() || quantity.channel >= channels.size) {
    node.at("channel").fail(cat(quantity.channel, " is not below the size of a sample's first axis, ", channels.symbol.empty() ? cat(channels.size) : channels.symbol));
  }
}

void bins(const JsonNode& node, const Manifest& manifest, Quantity& quantity) {
  const bool is_answer = quantity.measure == Measure::kAnswer;
  if (!is_answer) {
    for (const JsonNode& edge : node.at("edges").elements()) {
      const double value = edge.number();
      if (!quantity.edges.empty() && value <= quantity.edges.back()) edge.fail(cat(value, " is not above the edge before it, ", quantity.edges.back()));
      quantity.edges.push_back(value);
    }
  }
  std::int64_t samples = 0;
  for (const JsonNode& count : node.at("counts").elements()) {
    quantity.counts.push_back(count.integer(0));
    if (quantity.counts.back() > kMostSamples) count.fail(cat(quantity.counts.back(), " samples; at most ", kMostSamples));
    if (quantity.counts.size() <= kMostBins) samples += quantity.counts.back();
  }
  const std::size_t wanted = is_answer ? manifest.labels.size() : quantity.edges.size() + 1;
  if (quantity.counts.size() != wanted) {
    node.at("counts").fail(cat("has ", quantity.counts.size(), " numbers; ", wanted, is_answer ? ", one for each label" : ", one more than there are edges"));
  }
  if (wanted < 2 || wanted > kMostBins) node.at("counts").fail(cat("has ", wanted, " bins; 2 to ", kMostBins, " are taken"));
  if (samples == 0) node.at("counts").fail("counts no sample; at least one");
}

Quantity quantity(const JsonNode& node, const Manifest& manifest) {
  node.require({"measure"});
  Quantity made{.measure = measure(node.at("measure"))};
  switch (made.measure) {
    case Measure::kMean:
    case Measure::kSpread:
      node.expect_fields({"measure", "input", "edges", "counts"}, {"channel"});
      input(node, manifest, made);
      break;
    case Measure::kTokens: node.expect_fields({"measure", "edges", "counts"}); break;
    case Measure::kTokenShare:
      node.expect_fields({"measure", "token", "edges", "counts"});
      made.token = node.at("token").integer(0);
      break;
    case Measure::kAnswer: node.expect_fields({"measure", "counts"}); break;
  }
  const bool is_of_text = made.measure == Measure::kTokens || made.measure == Measure::kTokenShare;
  if (is_of_text && manifest.raw_input.kind != "text") node.at("measure").fail(cat("is of texts, and the raw input is ", manifest.raw_input.kind));
  bins(node, manifest, made);
  return made;
}

}  // namespace

InputStatistics parse_input_statistics(std::string_view json, const std::string& name, const Manifest& manifest) {
  const nlohmann::json document = parse_strict_json(json, name, kMostBytes);
  const JsonNode root(document, name);
  root.expect_fields({"quantities"});
  InputStatistics made;
  std::set<std::string> names;
  for (const JsonNode& node : root.at("quantities").elements()) {
    made.quantities.push_back(quantity(node, manifest));
    const std::string called = made.quantities.back().name();
    if (!names.insert(called).second) node.fail(cat(quoted(called), " is there twice"));
  }
  if (made.quantities.empty() || made.quantities.size() > kMostQuantities) {
    root.at("quantities").fail(cat("has ", made.quantities.size(), " quantities; 1 to ", kMostQuantities, " are taken"));
  }
  return made;
}

std::optional<InputStatistics> read_input_statistics(const Package& package) {
  if (!package.manifest) return std::nullopt;
  const std::vector<PackagedFile>& files = package.manifest->files;
  if (std::none_of(files.begin(), files.end(), [](const PackagedFile& file) { return file.path == kPath; })) return std::nullopt;
  const std::vector<std::byte> bytes = package.file(kPath);
  return parse_input_statistics({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, cat(package.manifest->name, ": ", kPath), *package.manifest);
}

}  // namespace portfire
