#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace portfire {

/// ASCII letters in lower case: LibTorch finds records without regard to case, so checks must as well.
std::string folded(std::string_view name);

/// Why a relative path may not be used, or empty: it must be valid UTF-8 without control characters or
/// backslashes, neither absolute nor empty, and without empty, "." or ".." components.
std::string_view problem_with_path(std::string_view path);

}  // namespace portfire
