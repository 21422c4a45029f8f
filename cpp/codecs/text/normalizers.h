#pragma once

#include <functional>

#include "archive/json_node.h"
#include "codecs/text/aligned_text.h"

namespace portfire::text {

/// Changes a text before it is split. Thread-safe.
using Normalizer = std::function<void(AlignedText&)>;

/// `normalizer` of a tokenizer.json. Throws kInvalidPackage, kUnsupported on a type that is not known here.
Normalizer make_normalizer(const JsonNode& node);

/// What several parts of a tokenizer.json have: {"String": "…"} or {"Regex": "…"}.
Pattern make_pattern(const JsonNode& node);

/// Throws kUnsupported: the part of a tokenizer.json is of a type that is not known here.
[[noreturn]] void fail_unknown(const JsonNode& node, const std::string& part, const std::string& type);

}  // namespace portfire::text
