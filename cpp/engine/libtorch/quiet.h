#pragma once

#include <c10/util/Exception.h>

namespace portfire::libtorch {

/// While it lives, what LibTorch and the model (`aten::warn`) want to warn of on this thread goes nowhere: a
/// library's user did not ask for text on standard error.
class Quiet {
  class Handler : public c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };

  Handler handler_;
  c10::WarningUtils::WarningHandlerGuard guard_{&handler_};
};

}  // namespace portfire::libtorch
