#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace portfire::serving {

/// What tells one state of a version's files from another: their names, inodes, sizes and times of change.
using Stamp = std::string;

/// A version's folder (or, where one package is served, its file) and the state of its files.
struct FoundVersion {
  std::string path;
  Stamp stamp;
};

/// Versions by number, of models by name.
using Found = std::map<std::string, std::map<std::int64_t, FoundVersion>, std::less<>>;

/// Letters, digits, '.', '_' and '-', beginning with a letter or a digit; at most 128 of them.
bool is_model_name(std::string_view name);

/// The models of a folder `<name>/<version>/model.pt[2]`, or the one model of a `<name>` folder, a `<name>/<version>` folder or a
/// package file; that one is called `name`, where it is not empty. Folders that are not so named are passed over ("01" is no version), and so
/// are links that lead out of `root`. Throws kNotFound where there is no `root`, kIo.
Found look_in(const std::string& root, const std::string& name = "");

}  // namespace portfire::serving
