#include "apps/terminal.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include <portfire/error.h>

namespace portfire::apps {
namespace {

bool colours() {
  const char* no_color = std::getenv("NO_COLOR");  // no-color.org: present and not empty
  static const bool on = ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
  return on;
}

std::string painted(const char* code, std::string_view text) {
  if (!colours()) return std::string(text);
  return std::string(code) + std::string(text) + "\033[0m";
}

volatile std::sig_atomic_t stop = 0;

}  // namespace

std::string bold(std::string_view text) { return painted("\033[1m", text); }
std::string green(std::string_view text) { return painted("\033[32m", text); }
std::string red(std::string_view text) { return painted("\033[31m", text); }
std::string dim(std::string_view text) { return painted("\033[2m", text); }

void flush_output() {
  if (!std::cout.flush()) throw Error(ErrorCode::kIo, "standard output cannot be written");
}

std::string microseconds(double value) {
  char text[32];
  if (value < 1000) {
    std::snprintf(text, sizeof text, "%.1f µs", value);
  } else {
    std::snprintf(text, sizeof text, "%.2f ms", value / 1000);
  }
  return text;
}

Progress::Progress(std::string label) : label_(std::move(label)), shown_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::update(double done) {
  constexpr int kWidth = 30;
  const int percent = static_cast<int>(done * 100);
  if (!shown_ || percent == percent_) return;
  percent_ = percent;
  const int filled = percent * kWidth / 100;
  std::fprintf(stderr, "\r%s [%s%s] %3d %%", label_.c_str(), std::string(static_cast<std::size_t>(filled), '=').c_str(),
               std::string(static_cast<std::size_t>(kWidth - filled), ' ').c_str(), percent);
}

void Progress::clear() {
  if (shown_ && percent_ >= 0) std::fputs("\r\033[K", stderr);
  percent_ = -1;
}

void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop = 1; };
  // Restarted, so that a line half written to a slow reader is not lost; the second interrupt kills.
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
}

bool interrupted() { return stop != 0; }

}  // namespace portfire::apps
