#pragma once

#include <cstdint>
#include <vector>

#include "archive/json_node.h"

namespace portfire::text {

/// What is put around the tokens of a text.
struct PostProcessor {
  std::vector<std::int64_t> before;
  std::vector<std::int64_t> after;
  bool trims_offsets = false;  ///< the range of a token of the model leaves out the spaces around it
};

/// `post_processor` of a tokenizer.json, for one text. Throws kInvalidPackage, kUnsupported on a type that is not known here.
PostProcessor make_post_processor(const JsonNode& node);

}  // namespace portfire::text
