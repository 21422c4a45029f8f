#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace portfire {

/// What a .npy file says of its elements, not yet judged.
struct NpyHeader {
  std::string descr;  ///< "<f4"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// The Python dictionary at the start of a .npy file: exactly the keys above, in any order, each once.
/// Nothing is evaluated. Throws kInvalidInput, and kUnsupported where `descr` is not one string (records).
NpyHeader parse_npy_header(std::string_view text, std::string_view name);

}  // namespace portfire
