#include "api/profile.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "archive/json_node.h"
#include "archive/sha256.h"
#include "core/file.h"
#include "core/text.h"

namespace portfire {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFormat = 1;
constexpr std::uintmax_t kTail = std::uintmax_t{1} << 20;
constexpr std::size_t kMostBytes = std::size_t{1} << 20;
constexpr double kTie = 1.03;
constexpr int kMostThreads = 1024;  // as LoadOptions::threads

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") || line.starts_with("CPU part")) return line;
  }
  return "unknown";
}

/// A zip's directory, with the size and CRC of every record, stands at the file's end: no need to read the rest.
std::string fingerprint(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::uintmax_t>(std::max<std::streamoff>(file.tellg(), 0));
  std::string tail(std::min(size, kTail), '\0');
  file.seekg(-static_cast<std::streamoff>(tail.size()), std::ios::end);
  file.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  return cat(size, " ", sha256(std::as_bytes(std::span(tail))));
}

fs::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return fs::path(cache) / "portfire" / "tune";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? fs::path(home) / ".cache" / "portfire" / "tune" : fs::path();
}

nlohmann::ordered_json json_of(const TuneRow& row) {
  nlohmann::ordered_json out{{"engine", row.engine}, {"optimization", name_of(row.optimization)}, {"precision", name_of(row.precision)},
                             {"threads", row.threads}, {"batch", row.batch}};
  if (row.problem.empty()) {
    out["load_ms"] = row.load_ms;
    out["p50_us"] = row.p50_us;
  } else {
    out["problem"] = row.problem;
  }
  return out;
}

TuneRow row_from(const JsonNode& node) {
  node.require({"engine", "optimization", "precision", "threads", "batch"});
  if (node.at("threads").integer(1) > kMostThreads) node.at("threads").fail(cat("more than ", kMostThreads));
  TuneRow row{.engine = node.at("engine").string(), .optimization = optimization_from_name(node.at("optimization").string()),
              .precision = precision_from_name(node.at("precision").string()), .threads = static_cast<int>(node.at("threads").integer(1)),
              .batch = node.at("batch").integer(1)};
  if (row.engine != "graph" && row.engine != "compiled" && row.engine != "torchscript") node.at("engine").fail("no engine has this name");
  if (node.has("problem")) {
    row.problem = node.at("problem").string();
  } else {
    node.require({"load_ms", "p50_us"});
    row.load_ms = node.at("load_ms").number();
    row.p50_us = node.at("p50_us").number();
  }
  return row;
}

bool is_open_to(const LoadOptions& options, const TuneRow& row) {
  const bool precise = row.precision == options.precision || (options.precision == Precision::kFastest && row.precision != Precision::kInt8);
  const bool trusted = row.engine != "compiled" || options.trust_compiled || !options.trusted_keys.empty();
  return row.problem.empty() && trusted && precise;
}

}  // namespace

std::string profile_path(const std::vector<std::string>& files, Device device) {
  const fs::path folder = cache_folder();
  if (folder.empty()) return {};
  std::string key = cat(version(), '\n', torch_version(), '\n', device.to_string(), '\n', processor(), '\n', cpu_budget(), '\n');
  for (const std::string& file : files) key += cat(fs::path(file).extension().string(), ' ', fingerprint(file), '\n');
  return (folder / cat(sha256(std::as_bytes(std::span(key))), ".json")).string();
}

std::optional<Profile> read_profile(const std::string& path) {
  try {
    if (path.empty() || !fs::exists(path)) return std::nullopt;
    const std::vector<std::byte> bytes = read_file(path, kMostBytes);
    const nlohmann::json text = parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
    const JsonNode root(text, path);
    root.require({"format", "made", "rows"});
    if (root.at("format").integer(1) != kFormat) return std::nullopt;
    Profile profile{.made = root.at("made").string(), .rows = {}};
    for (const JsonNode& row : root.at("rows").elements()) profile.rows.push_back(row_from(row));
    return profile;
  } catch (const Error&) {
    return std::nullopt;
  } catch (const fs::filesystem_error&) {
    return std::nullopt;
  }
}

void write_profile(const std::string& path, const Profile& profile) {
  nlohmann::ordered_json out{{"format", kFormat}, {"made", profile.made}, {"rows", nlohmann::ordered_json::array()}};
  for (const TuneRow& row : profile.rows) out["rows"].push_back(json_of(row));
  std::error_code failed;
  fs::create_directories(fs::path(path).parent_path(), failed);
  if (failed) throw Error(ErrorCode::kIo, cat(path, ": its folder cannot be made: ", failed.message()));
  const std::string text = out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  write_file(path, std::as_bytes(std::span(text)));
}

int fastest(const std::vector<TuneRow>& rows, const LoadOptions& options) {
  int best = -1;
  const auto at = [&](int k) -> const TuneRow& { return rows[static_cast<std::size_t>(k)]; };
  const auto has_threads = [&](const TuneRow& row) { return row.threads == options.threads && is_open_to(options, row); };
  const bool measured = std::any_of(rows.begin(), rows.end(), has_threads);
  for (int k = 0; k < static_cast<int>(rows.size()); ++k) {
    if (at(k).batch != rows.front().batch || !is_open_to(options, at(k)) || (measured && !has_threads(at(k)))) continue;
    const bool fewer = best >= 0 && at(k).threads < at(best).threads;
    if (best < 0 || at(k).p50_us * (fewer ? 1 / kTie : kTie) < at(best).p50_us) best = k;
  }
  return best;
}

std::optional<LoadOptions> tuned(const std::vector<std::string>& files, const LoadOptions& options, std::string& choice) {
  if (!options.use_profile || options.engine != "auto" || options.optimization != Optimization::kAuto) return std::nullopt;
  const std::optional<Profile> profile = read_profile(profile_path(files, options.device));
  const int best = profile ? fastest(profile->rows, options) : -1;
  if (best < 0) return std::nullopt;
  const TuneRow& row = profile->rows[static_cast<std::size_t>(best)];
  LoadOptions made = options;
  made.engine = row.engine;
  made.optimization = row.optimization;
  made.precision = row.precision;
  if (made.threads == 0) made.threads = row.threads;
  choice = cat("the fastest here: portfire tune, ", profile->made);
  return made;
}

std::string TuneReport::to_json() const {
  nlohmann::ordered_json out{{"rows", nlohmann::ordered_json::array()}, {"chosen", nullptr}, {"profile", nullptr}};
  for (const TuneRow& row : rows) out["rows"].push_back(json_of(row));
  if (chosen >= 0) out["chosen"] = json_of(rows[static_cast<std::size_t>(chosen)]);
  if (!profile.empty()) out["profile"] = profile;
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace portfire
