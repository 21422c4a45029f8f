#include "serving/version_policy.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <portfire/error.h>

#include "core/text.h"
#include "serving/folder.h"

namespace portfire::serving {
namespace {

constexpr std::string_view kLatest = "latest:";

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

}  // namespace

std::pair<std::string, VersionPolicy> version_policy_of(std::string_view text) {
  const auto wrong = [&] { return Error(ErrorCode::kInvalidArgument, cat("--versions ", quoted(text), " is neither NAME=1,3 (these versions) nor NAME=latest:2 (the newest two)")); };
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || !is_model_name(text.substr(0, equals))) throw wrong();
  std::string_view rest = text.substr(equals + 1);
  VersionPolicy policy;
  if (rest.starts_with(kLatest)) {
    const std::optional<std::int64_t> latest = whole(rest.substr(kLatest.size()));
    if (!latest) throw wrong();
    policy.latest = *latest;
    return {std::string(text.substr(0, equals)), policy};
  }
  while (true) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::optional<std::int64_t> version = whole(rest.substr(0, comma));
    if (!version) throw wrong();
    policy.listed.insert(*version);
    if (comma == rest.size()) return {std::string(text.substr(0, equals)), policy};
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace portfire::serving
