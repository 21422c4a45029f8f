#include "api/trust.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "archive/minisign.h"
#include "core/file.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 10;  // of a key or a signature

std::string text_of(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path, kMostBytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

minisign::PublicKey key_from(const std::string& key) {
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(key, ignored);
  return minisign::parse_public_key(is_file ? text_of(key) : key, key);
}

}  // namespace

std::string why_not_trusted(const Archive& archive, const LoadOptions& options) {
  if (options.trust_compiled) return {};
  if (options.trusted_keys.empty()) {
    return "its machine code can do whatever this process can; if you trust who made it, load it with trust_compiled (--trust-compiled), "
           "or with the key that signed it (--trusted-key)";
  }
  std::vector<minisign::PublicKey> keys;
  for (const std::string& key : options.trusted_keys) keys.push_back(key_from(key));
  const std::string path = archive.path() + ".minisig";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return cat("nobody signed it (", path, " is missing); sign it with minisign, or load it with trust_compiled");
  const std::string reason = minisign::why_not_signed(archive.bytes(), text_of(path), keys);
  return reason.empty() ? "" : cat("its signature ", reason);
}

}  // namespace portfire
