#pragma once

#include <functional>
#include <vector>

#include "archive/json_node.h"
#include "codecs/text/aligned_text.h"

namespace portfire::text {

/// A text and the pieces that it is split into, from the left, none of them empty; what lies between two belongs
/// to none.
struct Pieces {
  AlignedText text;
  std::vector<Range> ranges;
};

/// Splits pieces into smaller ones; a model never joins what lies in two. Thread-safe.
using PreTokenizer = std::function<void(Pieces&)>;

/// `pre_tokenizer` of a tokenizer.json. Throws kInvalidPackage, kUnsupported on a type that is not known here.
PreTokenizer make_pre_tokenizer(const JsonNode& node);

/// Whether it is, or has in it, one of type ByteLevel: the model's tokens are then spelled in GPT-2's alphabet for bytes.
bool is_byte_level(const JsonNode& node);

}  // namespace portfire::text
