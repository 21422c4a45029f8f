#pragma once

#include <string>
#include <string_view>

namespace portfire::text {

/// Why the SentencePiece library should not be given these bytes; empty where it can be. The library follows the
/// indices of the model's character map without a look: one that points beyond it reads other memory.
std::string problem_with_sentencepiece(std::string_view model);

}  // namespace portfire::text
