#pragma once

#include <string>
#include <string_view>

namespace portfire::text {

/// Why the SentencePiece library should not be given these bytes; empty where it can be. The library (0.1.97)
/// follows the indices of the model's character map without a look, so that one beyond it reads other memory, has arrays
/// of fixed size for what a text begins with, and ends the process on what it takes for its own error.
std::string problem_with_sentencepiece(std::string_view model);

}  // namespace portfire::text
