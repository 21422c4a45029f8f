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

/// `pre_tokenizer` of a tokenizer.json. One of type ByteLevel has the text spelled in GPT-2's alphabet for bytes; without
/// `spells_bytes` the text stays as it is, for a model that reads bytes. Throws kInvalidPackage, kUnsupported on a type
/// that is not known here.
PreTokenizer make_pre_tokenizer(const JsonNode& node, bool spells_bytes);

/// Whether the last step, and no other, is of type ByteLevel: nothing then looks at how bytes are spelled but the model.
bool ends_in_bytes(const JsonNode& node);

}  // namespace portfire::text
