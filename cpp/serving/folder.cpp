#include "serving/folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::serving {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 128;

/// As people write it: two folders never stand for one version.
std::optional<std::int64_t> version_of(const std::string& name) {
  std::int64_t version = 0;
  if (name.starts_with('0')) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
  if (error != std::errc() || end != name.data() + name.size() || version < 1) return std::nullopt;
  return version;
}

void add_file(Stamp& stamp, const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return;
  stamp += cat(path.filename().string(), ' ', status.st_ino, ' ', status.st_size, ' ', status.st_mtim.tv_sec, '.', status.st_mtim.tv_nsec, ' ',
               status.st_ctim.tv_sec, '.', status.st_ctim.tv_nsec, '\n');
}

bool leads_out(const fs::path& path, const fs::path& root) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return false;
  const fs::path real = fs::canonical(path, error);
  return error || std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first != root.end();
}

/// Nothing where the folder holds no program, or only links that lead out of `root`.
std::optional<FoundVersion> version_in(const fs::path& folder, const fs::path& root) {
  FoundVersion found{.path = folder.string(), .stamp = {}};
  bool has_program = false;
  for (const char* name : {"model.pt2", "model.pt"}) {
    std::error_code error;
    if (!fs::is_regular_file(folder / name, error)) continue;
    if (leads_out(folder / name, root)) return std::nullopt;  // who opens the folder would follow it
    has_program = true;
    add_file(found.stamp, folder / name);
    add_file(found.stamp, folder / cat(name, ".minisig"));
  }
  if (!has_program) return std::nullopt;
  return found;
}

std::map<std::int64_t, FoundVersion> versions_in(const fs::path& model, const fs::path& root) {
  std::map<std::int64_t, FoundVersion> versions;
  std::error_code error;
  for (fs::directory_iterator at(model, error); !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::optional<std::int64_t> version = version_of(at->path().filename().string());
    std::error_code gone;
    if (!version || !at->is_directory(gone) || leads_out(at->path(), root)) continue;
    if (std::optional<FoundVersion> found = version_in(at->path(), root)) versions.emplace(*version, *std::move(found));
  }
  return versions;
}

/// `given`, where there is such a name, else the path's own.
std::string name_for(const fs::path& path, const std::string& given) {
  const std::string name = given.empty() ? path.filename().string() : given;
  if (!is_model_name(name)) {
    throw Error(ErrorCode::kInvalidArgument, cat(path.string(), ": ", quoted(name), " is no name that a model can have; letters, digits, '.', '_' and '-' are"));
  }
  return name;
}

}  // namespace

bool is_model_name(std::string_view name) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !name.empty() && name.size() <= kLongestName && plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

Found look_in(const std::string& root, const std::string& name) {
  try {
    const fs::path path = fs::canonical(root);
    Found found;
    if (fs::is_regular_file(path)) {
      FoundVersion one{.path = path.string(), .stamp = {}};
      add_file(one.stamp, path);
      const fs::path folder = path.parent_path();
      const std::optional<std::int64_t> version = version_of(folder.filename().string());
      found[name_for(version ? folder.parent_path() : path.stem(), name)].emplace(version.value_or(1), one);
      return found;
    }
    if (std::optional<FoundVersion> one = version_in(path, path.root_path())) {
      const std::optional<std::int64_t> version = version_of(path.filename().string());
      found[name_for(version ? path.parent_path() : path, name)].emplace(version.value_or(1), *std::move(one));
      return found;
    }
    if (std::map<std::int64_t, FoundVersion> versions = versions_in(path, path); !versions.empty()) {
      found.emplace(name_for(path, name), std::move(versions));
      return found;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      const std::string own = entry.path().filename().string();
      if (!is_model_name(own) || leads_out(entry.path(), path)) continue;
      std::map<std::int64_t, FoundVersion> versions = versions_in(entry.path(), path);
      if (!versions.empty()) found.emplace(own, std::move(versions));
    }
    return found;
  } catch (const fs::filesystem_error& error) {
    const bool missing = error.code() == std::errc::no_such_file_or_directory;
    throw Error(missing ? ErrorCode::kNotFound : ErrorCode::kIo, cat(root, ": cannot be read: ", error.code().message()));
  }
}

}  // namespace portfire::serving
