#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace portfire {

/// Who may come in: callers show a key, of which the file holds the hash alone. Thread-safe.
class Doors {
 public:
  /// Open to everybody.
  Doors() = default;
  /// A file of lines "name:sha256 of the key in hexadecimal[:rate=N][:control]": at most N requests a second, and whether the key
  /// may load and unload models. '#' begins a comment. Throws kNotFound, kIo, kInvalidArgument.
  static Doors from_file(const std::string& path);

  /// 256 random bits in hexadecimal. Throws kIo where the system has none.
  static std::string new_key();
  /// What the file holds of a key.
  static std::string hash_of(std::string_view key);

  [[nodiscard]] bool asks() const noexcept { return !keys_.empty(); }

  enum class Verdict : std::uint8_t {
    kCome,       ///< in
    kUnknown,    ///< no key, or one that is not known
    kTooOften,   ///< more requests than the key may make
    kForbidden,  ///< the key may not do this
  };
  /// `credential` is an Authorization header ("Bearer KEY") or the bare key; `controls` for what loads and unloads models.
  /// `who`, where it is given, gets the name of a key that is known.
  Verdict admit(std::optional<std::string_view> credential, bool controls, std::string* who = nullptr);

 private:
  struct Key {
    std::string name;
    double rate = 0;  ///< requests a second; 0: any number
    bool controls = false;
    double left = 0;  ///< requests that it may make now; a second's worth at most
    std::chrono::steady_clock::time_point counted{};
  };

  std::map<std::string, Key, std::less<>> keys_;  ///< by hash
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
};

}  // namespace portfire
