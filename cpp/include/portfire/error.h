#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <portfire/export.h>

namespace portfire {

/// What kind of thing went wrong. The meaning of each is in `error_codes()`.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument,
  kInvalidInput,
  kNotFound,
  kInvalidPackage,
  kUnsupported,
  kInternal,
  kIo,
  kResourceExhausted,
  kVersionMismatch,
  kUntrustedPackage,
  kVerificationFailed,
  kCancelled,
  kDeadlineExceeded,
  kOverloaded,
  kUnavailable,
};

/// One row of the table that every face of Portfire translates with.
struct ErrorCodeInfo {
  ErrorCode code;
  std::string_view name;  ///< "invalid-input": in JSON and in log lines
  int exit_status;        ///< of the `portfire` program (sysexits where one fits)
  int http_status;
  int grpc_status;
  std::string_view python;   ///< the exception's class in the Python module
  std::string_view meaning;  ///< one sentence
};

/// All rows, ordered by `ErrorCode`. Thread-safe.
PORTFIRE_EXPORT std::span<const ErrorCodeInfo> error_codes() noexcept;

/// The row of one code. Thread-safe.
PORTFIRE_EXPORT const ErrorCodeInfo& info_of(ErrorCode code) noexcept;

/// The one exception type that Portfire throws. Its message is one line: what was wrong, the value,
/// what is allowed, what to do.
class PORTFIRE_EXPORT Error : public std::runtime_error {
 public:
  /// Line breaks in `message` become spaces, so that a message from elsewhere is still one line.
  Error(ErrorCode code, const std::string& message);
  ~Error() override;

  Error(const Error&) = default;
  Error& operator=(const Error&) = default;

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace portfire
