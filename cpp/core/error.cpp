#include <portfire/error.h>

#include <array>

namespace portfire {
namespace {

using enum ErrorCode;

constexpr std::array<ErrorCodeInfo, 15> kTable{{
    // code, name, exit status, HTTP, gRPC, Python, meaning
    {kInvalidArgument, "invalid-argument", 64, 400, 3, "InvalidArgumentError",
     "An option or an argument of a call is not one of those allowed."},
    {kInvalidInput, "invalid-input", 65, 400, 3, "InvalidInputError",
     "The data to run the model on is damaged, of another kind, shape or dtype, or out of range."},
    {kNotFound, "not-found", 66, 404, 5, "NotFoundError",
     "There is no such file, model, version or output."},
    {kInvalidPackage, "invalid-package", 67, 422, 9, "InvalidPackageError",
     "The file is no package, or it is damaged, incomplete or contradicts itself."},
    {kUnsupported, "unsupported", 69, 501, 12, "UnsupportedError",
     "This build or this machine cannot do that."},
    {kInternal, "internal", 70, 500, 13, "InternalError",
     "A fault in Portfire or in a library that it stands on."},
    {kIo, "io", 74, 500, 14, "IoError", "The operating system refused to read or write."},
    {kResourceExhausted, "resource-exhausted", 75, 413, 8, "ResourceExhaustedError",
     "More memory, disk or time would be needed than is allowed or there."},
    {kVersionMismatch, "version-mismatch", 76, 422, 9, "VersionMismatchError",
     "The package, or LibTorch, is of a version that this runtime does not read."},
    {kUntrustedPackage, "untrusted-package", 77, 403, 7, "UntrustedPackageError",
     "The package holds something that could do more than compute, and nobody allowed it."},
    {kVerificationFailed, "verification-failed", 1, 422, 15, "VerificationFailedError",
     "The model does not compute what its golden samples say."},
    {kCancelled, "cancelled", 130, 499, 1, "CancelledError", "The caller stopped it."},
    {kDeadlineExceeded, "deadline-exceeded", 124, 504, 4, "DeadlineExceededError",
     "The time that the caller gave had passed before the work began."},
    {kOverloaded, "overloaded", 79, 429, 8, "OverloadedError", "Too many wait already; come again later."},
    {kUnavailable, "unavailable", 68, 503, 14, "UnavailableError", "The model is not loaded, or the server is stopping."},
}};

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  return text;
}

}  // namespace

std::span<const ErrorCodeInfo> error_codes() noexcept { return kTable; }

const ErrorCodeInfo& info_of(ErrorCode code) noexcept { return kTable[static_cast<std::size_t>(code)]; }

Error::Error(ErrorCode code, const std::string& message)
    : std::runtime_error(one_line(message)), code_(code) {}

Error::~Error() = default;

}  // namespace portfire
