#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace portfire::apps {

/// Escape codes when standard output is a terminal and NO_COLOR is not set, else the bare text.
std::string bold(std::string_view text);
std::string green(std::string_view text);
std::string red(std::string_view text);
std::string dim(std::string_view text);

/// Throws kIo where standard output took not all that was printed.
void flush_output();

/// "1.25 ms", "7.3 µs"
std::string microseconds(double value);

/// A bar on standard error while it is a terminal; nothing otherwise. Erases itself.
class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(double done);  ///< 0..1
  void clear();              ///< before a line is printed

 private:
  std::string label_;
  bool shown_ = false;
  int percent_ = -1;
};

/// From here on SIGINT asks to stop instead of killing; a second one kills.
void catch_interrupt();
bool interrupted();

}  // namespace portfire::apps
