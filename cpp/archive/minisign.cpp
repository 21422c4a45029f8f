#include "archive/minisign.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::minisign {
namespace {

using Bytes = std::vector<unsigned char>;

constexpr std::size_t kIdBytes = 8;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::string_view kTrusted = "trusted comment: ";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// `size` bytes of base64; nothing where it is other than that.
std::optional<Bytes> decoded(std::string_view text, std::size_t size) {
  if (text.size() != (size + 2) / 3 * 4) return std::nullopt;
  Bytes bytes(text.size() / 4 * 3);
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  if (EVP_DecodeBlock(bytes.data(), data, static_cast<int>(text.size())) < 0) return std::nullopt;
  bytes.resize(size);
  return bytes;
}

std::span<const unsigned char> plain(std::span<const std::byte> bytes) { return {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()}; }

bool verifies(const PublicKey& key, std::span<const unsigned char> message, std::span<const unsigned char> signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.key.data(), key.key.size()), EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return pkey && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

Bytes blake2b(std::span<const unsigned char> message) {
  Bytes digest(64);
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_blake2b512(), nullptr) != 1) {
    throw Error(ErrorCode::kInternal, "OpenSSL has no BLAKE2b; check the installation of libcrypto");
  }
  return digest;
}

}  // namespace

std::string PublicKey::id_text() const {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (auto byte = id.rbegin(); byte != id.rend(); ++byte) {
    text += kDigits[*byte >> 4];
    text += kDigits[*byte & 15];
  }
  return text;
}

PublicKey parse_public_key(std::string_view text, const std::string& name) {
  const std::vector<std::string_view> lines = lines_of(text);
  const bool has_comment = lines.size() > 1 && lines[0].starts_with("untrusted comment:");
  const std::optional<Bytes> bytes = lines.empty() ? std::nullopt : decoded(lines[has_comment ? 1 : 0], 2 + kIdBytes + kKeyBytes);
  if (!bytes || (*bytes)[0] != 'E' || (*bytes)[1] != 'd') {
    throw Error(ErrorCode::kInvalidArgument, cat(quoted(name), " is no public key of minisign: neither a file of one nor its line, which begins with RW"));
  }
  PublicKey key;
  std::copy_n(bytes->begin() + 2, kIdBytes, key.id.begin());
  std::copy_n(bytes->begin() + 2 + kIdBytes, kKeyBytes, key.key.begin());
  return key;
}

std::string why_not_signed(std::span<const std::byte> message, std::string_view signature, const std::vector<PublicKey>& keys) {
  const std::vector<std::string_view> lines = lines_of(signature);
  const bool shaped = lines.size() == 4 && lines[0].starts_with("untrusted comment:") && lines[2].starts_with(kTrusted);
  const std::optional<Bytes> own = shaped ? decoded(lines[1], 2 + kIdBytes + kSignatureBytes) : std::nullopt;
  const std::optional<Bytes> global = shaped ? decoded(lines[3], kSignatureBytes) : std::nullopt;
  if (!own || !global || (*own)[0] != 'E' || ((*own)[1] != 'D' && (*own)[1] != 'd')) return "is no signature of minisign";
  const auto made_it = [&](const PublicKey& key) { return std::equal(key.id.begin(), key.id.end(), own->begin() + 2); };
  const auto key = std::find_if(keys.begin(), keys.end(), made_it);
  if (key == keys.end()) {
    PublicKey other;
    std::copy_n(own->begin() + 2, kIdBytes, other.id.begin());
    return cat("was made by the key ", other.id_text(), ", which is not trusted");
  }
  const bool prehashed = (*own)[1] == 'D';
  const Bytes digest = prehashed ? blake2b(plain(message)) : Bytes{};
  const std::span<const unsigned char> made(own->data() + 2 + kIdBytes, kSignatureBytes);
  if (!verifies(*key, prehashed ? std::span<const unsigned char>(digest) : plain(message), made)) return "was made for another file";
  Bytes commented(made.begin(), made.end());
  const std::string_view comment = lines[2].substr(kTrusted.size());
  commented.insert(commented.end(), comment.begin(), comment.end());
  return verifies(*key, commented, *global) ? "" : "has another trusted comment than was signed";
}

}  // namespace portfire::minisign
