#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "transport/http/exchange.h"

namespace portfire::http {

enum class Compression : std::uint8_t { kNone, kGzip, kDeflate };

/// What an Accept-Encoding header asks for, as RFC 9110 section 12.5.3 weighs it.
Compression chosen(std::string_view accepted);

/// Compresses a body that is worth it, text of some length, and says so in the headers.
void compress(Reply& reply, Compression compression);

/// A body that came as `encoding` ("gzip", "deflate" or "identity"). Throws kInvalidInput where it is damaged, kUnsupported on another
/// encoding, kResourceExhausted on more than `max_bytes`, before memory is taken for more.
std::string decompressed(const std::string& body, std::string_view encoding, std::size_t max_bytes);

}  // namespace portfire::http
