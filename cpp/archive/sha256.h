#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace portfire {

/// 64 lower-case hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);

}  // namespace portfire
