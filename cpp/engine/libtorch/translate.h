#pragma once

#include <exception>
#include <string>
#include <utility>

#include <portfire/error.h>

namespace portfire::libtorch {

/// The one line in LibTorch's message that says what was wrong.
std::string essence(const std::string& message);

/// Throws the Portfire error for the exception in flight: `context: essence`, with `code` unless the
/// exception itself tells (memory). Call it in a catch block only.
[[noreturn]] void rethrow(ErrorCode code, const std::string& context);

/// Calls `body`; whatever LibTorch throws (c10::Error, JITException, ErrorReport, bad_alloc) comes out as
/// a one-line Error.
template <typename Body>
decltype(auto) translated(ErrorCode code, const std::string& context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    rethrow(code, context);
  }
}

}  // namespace portfire::libtorch
