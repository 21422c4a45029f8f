#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

namespace portfire {

/// Parses JSON from a stranger: lists and objects at most `max_depth` deep, no key twice in one object.
/// `what` begins the error: "x.json". Throws kInvalidInput.
nlohmann::json parse_json(std::string_view what, std::span<const std::byte> bytes, int max_depth);

}  // namespace portfire
