#include "engine/libtorch/translate.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <new>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/text.h"

namespace portfire::libtorch {
namespace {

bool blank(const std::string& line) { return line.find_first_not_of(" \t~^<-HER.") == std::string::npos; }

std::string trimmed(const std::string& line) {
  const auto from = line.find_first_not_of(" \t");
  const auto to = line.find_last_not_of(" \t");
  return from == std::string::npos ? "" : line.substr(from, to - from + 1);
}

bool is_memory(const std::string& message) {
  return message.find("not enough memory") != std::string::npos ||
         message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

}  // namespace

std::string essence(const std::string& message) {
  std::vector<std::string> lines;
  std::istringstream in(message);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("Exception raised from") || line.find("C++ CapturedTraceback") != std::string::npos) break;
    if (!blank(line)) lines.push_back(trimmed(line));
  }
  if (lines.empty()) return "LibTorch gave no reason";
  // An error inside a graph ends with "RuntimeError: …" after the TorchScript traceback; any other
  // begins with what was wrong and goes on with where.
  std::string chosen = lines.front();
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const auto colon = line->find("Error: ");
    if (colon == std::string::npos || line->find(' ') <= colon) continue;
    chosen = line->substr(colon + 7);
    break;
  }
  constexpr std::size_t kLongest = 300;
  return chosen.size() > kLongest ? chosen.substr(0, kLongest) + "…" : chosen;
}

void rethrow(ErrorCode code, const std::string& context) {
  std::string message;
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    throw Error(ErrorCode::kResourceExhausted, cat(context, ": ", essence(error.what_without_backtrace())));
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kResourceExhausted, cat(context, ": out of memory"));
  } catch (const std::exception& error) {  // JITException and ErrorReport derive from this alone
    message = error.what();
  }
  throw Error(is_memory(message) ? ErrorCode::kResourceExhausted : code, cat(context, ": ", essence(message)));
}

}  // namespace portfire::libtorch
