#pragma once

#include <functional>
#include <string>
#include <vector>

#include "archive/json_node.h"

namespace portfire::text {

/// Changes the spelling of tokens, in order, to the parts of their text. The parts need not be UTF-8. Thread-safe.
using Decoder = std::function<void(std::vector<std::string>&)>;

/// `decoder` of a tokenizer.json. Throws kInvalidPackage, kUnsupported on a type that is not known here.
Decoder make_decoder(const JsonNode& node);

}  // namespace portfire::text
