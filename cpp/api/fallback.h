#pragma once

#include <portfire/error.h>

namespace portfire {

/// Another file, engine or precision may still do where this one needs what is not here, or does not hold. Not where
/// it is damaged or not to be trusted.
inline bool may_be_passed_over(const Error& error) {
  return error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kVersionMismatch ||
         error.code() == ErrorCode::kVerificationFailed;
}

}  // namespace portfire
