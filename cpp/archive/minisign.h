#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portfire::minisign {

/// An Ed25519 key as minisign writes it (https://jedisct1.github.io/minisign, "Signature format").
struct PublicKey {
  std::array<unsigned char, 8> id{};
  std::array<unsigned char, 32> key{};
  [[nodiscard]] std::string id_text() const;  ///< "DB697A99372E7035", as minisign prints it
};

/// A key file's text, or its second line alone. `name` is what errors call it. Throws kInvalidArgument.
PublicKey parse_public_key(std::string_view text, const std::string& name);

/// Empty where `signature` (the text of a .minisig file) was made by one of `keys` over `message` and its trusted
/// comment is whole; else why it does not count, for an error.
std::string why_not_signed(std::span<const std::byte> message, std::string_view signature, const std::vector<PublicKey>& keys);

}  // namespace portfire::minisign
