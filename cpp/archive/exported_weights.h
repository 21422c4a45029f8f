#pragma once

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "archive/archive.h"
#include "archive/exported_program.h"
#include "archive/json_node.h"

namespace portfire::exported {

/// Adds the weights of `folder`'s table, by the module's names, each held against its record; nothing where there is
/// no such table. Throws kInvalidPackage, kUntrustedPackage on a pickled weight, kUnsupported.
void read_weights(const Archive& archive, const std::string& folder, const std::string& table,
                  std::map<std::string, Weight>& weights);

/// A record as JSON; `document` is what errors call it. Throws kInvalidPackage.
nlohmann::json read_json(const Archive& archive, std::string_view record, const std::string& document);

}  // namespace portfire::exported
