#pragma once

#include <string>
#include <vector>

namespace portfire {

/// Passes on a text that comes in parts until a stop string is in it. One thread at a time.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// What of the text is certain to come before any stop string.
  std::string push(const std::string& part);
  /// The rest, where none was found.
  std::string finish();
  [[nodiscard]] bool found() const noexcept { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace portfire
