#include "apps/inputs.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>

namespace portfire::apps {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_beneath(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code ignored;
  fs::recursive_directory_iterator walk(folder, fs::directory_options::skip_permission_denied, ignored);
  for (; walk != fs::recursive_directory_iterator(); walk.increment(ignored)) {
    const bool hidden = walk->path().filename().string().starts_with(".");
    if (hidden && walk->is_directory(ignored)) walk.disable_recursion_pending();
    if (!hidden && walk->is_regular_file(ignored)) files.push_back(walk->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

}  // namespace

std::vector<std::string> expand_inputs(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  for (const std::string& argument : arguments) {
    std::error_code ignored;
    std::vector<std::string> some;
    if (argument == "-") {
      some = {argument};
    } else if (fs::is_directory(argument, ignored)) {
      some = files_beneath(argument);
    } else if (!fs::exists(argument, ignored) && argument.find_first_of("*?[") != std::string::npos) {
      some = matches_of(argument);
    }
    if (some.empty() && !fs::is_directory(argument, ignored)) some = {argument};
    files.insert(files.end(), some.begin(), some.end());
  }
  return files;
}

}  // namespace portfire::apps
