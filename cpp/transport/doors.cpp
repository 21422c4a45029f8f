#include "transport/doors.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <span>
#include <sstream>
#include <vector>

#include <portfire/error.h>

#include "archive/sha256.h"
#include "core/file.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr std::size_t kHashDigits = 64;

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> parts;
  std::istringstream in(line);
  for (std::string part; std::getline(in, part, ':');) parts.push_back(part);
  return parts;
}

bool is_hash(const std::string& text) {
  return text.size() == kHashDigits && std::all_of(text.begin(), text.end(), [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0 || (c >= 'a' && c <= 'f'); });
}

std::string_view key_in(std::string_view credential) {
  static constexpr std::string_view kScheme = "bearer ";
  const auto same = [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); };
  if (credential.size() >= kScheme.size() && std::equal(kScheme.begin(), kScheme.end(), credential.begin(), same)) credential.remove_prefix(kScheme.size());
  const std::size_t first = credential.find_first_not_of(' ');
  return first == std::string_view::npos ? std::string_view() : credential.substr(first, credential.find_last_not_of(' ') - first + 1);
}

}  // namespace

Doors Doors::from_file(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path, kMostBytes);
  std::istringstream lines(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  Doors doors;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.pop_back();
    if (line.empty()) continue;
    const auto refuse = [&](const std::string& why) { throw Error(ErrorCode::kInvalidArgument, cat(path, ", line ", number, ": ", why)); };
    const std::vector<std::string> parts = split(line);
    if (parts.size() < 2 || parts[0].empty() || !is_hash(parts[1])) refuse("a key's line is \"name:sha256 in lower-case hexadecimal[:rate=N][:control]\"; portfire key NAME makes one");
    Key key{.name = parts[0]};
    for (std::size_t k = 2; k < parts.size(); ++k) {
      if (parts[k] == "control") {
        key.controls = true;
      } else if (parts[k].starts_with("rate=")) {
        char* end = nullptr;
        key.rate = std::strtod(parts[k].c_str() + 5, &end);
        if (*end != '\0' || !(key.rate > 0 && key.rate <= 1e9)) refuse(cat(quoted(parts[k]), " is no rate; requests a second, above 0"));
      } else {
        refuse(cat(quoted(parts[k]), " is not known; rate=N and control are"));
      }
    }
    key.left = std::max(key.rate, 1.0);
    key.counted = std::chrono::steady_clock::now();
    if (!doors.keys_.emplace(parts[1], key).second) refuse("the key is there twice");
  }
  if (doors.keys_.empty()) throw Error(ErrorCode::kInvalidArgument, cat(path, ": holds no keys, so nobody could come in; portfire key NAME makes one"));
  return doors;
}

std::string Doors::new_key() {
  std::array<unsigned char, 32> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw Error(ErrorCode::kIo, "the system gives no random bytes");
  std::string key;
  for (const unsigned char byte : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    key += kDigits[byte >> 4];
    key += kDigits[byte & 15];
  }
  return key;
}

std::string Doors::hash_of(std::string_view key) { return sha256(std::as_bytes(std::span(key))); }

Doors::Verdict Doors::admit(std::optional<std::string_view> credential, bool controls, std::string* who) {
  if (!asks()) return Verdict::kCome;
  if (!credential) return Verdict::kUnknown;
  const auto found = keys_.find(hash_of(key_in(*credential)));
  if (found == keys_.end()) return Verdict::kUnknown;
  Key& own = found->second;
  if (who != nullptr) *who = own.name;
  if (controls && !own.controls) return Verdict::kForbidden;
  if (own.rate == 0) return Verdict::kCome;
  const std::lock_guard lock(*mutex_);
  const auto now = std::chrono::steady_clock::now();
  own.left = std::min(std::max(own.rate, 1.0), own.left + own.rate * std::chrono::duration<double>(now - own.counted).count());
  own.counted = now;
  if (own.left < 1) return Verdict::kTooOften;
  own.left -= 1;
  return Verdict::kCome;
}

}  // namespace portfire
