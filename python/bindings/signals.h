#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <optional>

namespace portfire::python {

/// Python's signals (Ctrl-C) while native code runs without the GIL. Made, asked and finished on one thread.
class Signals {
 public:
  /// With the GIL. Signals are the main thread's: any other never sees one.
  Signals() : is_main_(is_main_thread()) {}

  /// Without the GIL, which is taken some twenty times a second at most. True when a handler has raised.
  bool operator()() {
    constexpr auto kBetween = std::chrono::milliseconds(50);
    if (!is_main_ || raised_) return raised_.has_value();
    const auto now = std::chrono::steady_clock::now();
    if (now - asked_ < kBetween) return false;
    const pybind11::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() != 0) raised_.emplace();
    asked_ = std::chrono::steady_clock::now();
    return raised_.has_value();
  }

  /// With the GIL. Throws what a handler has raised.
  void finish() const {
    if (raised_) throw pybind11::error_already_set(*raised_);
  }

 private:
  static bool is_main_thread() {
    const auto threading = pybind11::module_::import("threading");
    return threading.attr("main_thread")().attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
  }

  bool is_main_;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  std::optional<pybind11::error_already_set> raised_;
};

}  // namespace portfire::python
