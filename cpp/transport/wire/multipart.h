#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Forms as browsers and curl send them, multipart/form-data (RFC 7578): the part of it that is sure to be read by all alike.
namespace portfire::wire {

struct FormPart {
  std::string name;
  std::string file_name;     ///< as the client wrote it, "" where it gave none: data, never a path
  std::string_view content;  ///< refers to the body
};

inline constexpr std::size_t kMostParts = 256;
inline constexpr std::size_t kLongestPartHead = 4096;

/// The boundary in a request's Content-Type, or nothing where that is no form. Throws kInvalidInput on a form whose boundary is missing or
/// not of RFC 2046's characters.
std::optional<std::string> form_boundary(std::string_view content_type);

/// At least one part. Throws kInvalidInput on all that is not well formed: text before or behind the parts, heads that are too long or
/// give no name, contents in a transfer encoding, more than kMostParts.
std::vector<FormPart> form_parts(std::string_view body, std::string_view boundary);

}  // namespace portfire::wire
