#include "archive/package.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <portfire/error.h>

#include "archive/manifest_json.h"
#include "archive/sha256.h"
#include "core/text.h"

namespace portfire {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFileNames[] = {"model.pt2", "model.pt"};
constexpr std::string_view kFolder = "extra/portfire/";  // torch.jit leaves it alone
constexpr std::string_view kExportedFolder = "portfire/";  // torch.export.load takes what is in extra/ for text
constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{16} << 20;

[[noreturn]] void invalid(const Archive& archive, const std::string& what) {
  throw Error(ErrorCode::kInvalidPackage, cat(archive.path(), ": ", what));
}

/// 0 for a name that is no version.
std::uint64_t version_of(const std::string& name) {
  const bool digits = !name.empty() && name.size() <= 18 && name.front() != '0' &&
                      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::stoull(name) : 0;
}

std::string listed(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string text;
  for (std::size_t k = 0; k < std::min<std::size_t>(names.size(), 5); ++k) {
    text += cat(k == 0 ? "" : ", ", quoted(names[k]));
  }
  if (names.empty()) return "it is empty";
  return cat("it holds ", text, names.size() > 5 ? ", …" : "");
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> files;
  for (const std::string_view name : kFileNames) {
    if (fs::exists(folder / name)) files.push_back((folder / name).string());
  }
  return files;
}

std::vector<std::string> resolve_folder(const std::string& path) {
  std::vector<std::string> files = files_in(path);
  if (!files.empty()) return files;
  std::vector<std::string> names;
  std::uint64_t highest = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    names.push_back(entry.path().filename().string());
    if (fs::is_directory(entry)) highest = std::max(highest, version_of(names.back()));
  }
  if (highest == 0) {
    throw Error(ErrorCode::kNotFound, cat(path, ": neither model.pt nor a version folder such as ",
                                          (fs::path(path) / "1").string(), " is in it (", listed(names), ")"));
  }
  const fs::path folder = fs::path(path) / std::to_string(highest);
  files = files_in(folder);
  if (files.empty()) {
    throw Error(ErrorCode::kNotFound, cat((folder / "model.pt").string(), ": no such file, and ", highest, " is the highest version in ",
                                          path, "; put the package there or name another version"));
  }
  return files;
}

std::string_view folder_of(const Archive& archive) {
  return archive.find("models/model.json") != nullptr ? kExportedFolder : kFolder;
}

void require_program(const Archive& archive) {
  if (archive.find("models/model.json") != nullptr) return;
  if (archive.find("data.pkl") == nullptr) {
    invalid(archive, "a zip, but not a model (it has neither data.pkl nor models/model.json); a TorchScript file is what "
                     "torch.jit.save or portfire.package writes");
  }
  const auto entries = archive.entries();
  const bool has_code = std::any_of(entries.begin(), entries.end(),
                                    [](const ArchiveEntry& entry) { return entry.name.starts_with("code/"); });
  if (!has_code) {
    invalid(archive, "holds weights without a program (torch.save wrote it); load them into their module in Python and "
                     "write that with portfire.package, or with torch.jit.save(torch.jit.script(module), path)");
  }
  if (archive.find("constants.pkl") == nullptr) invalid(archive, "damaged package: constants.pkl is missing");
}

std::optional<Manifest> read_manifest(const Archive& archive) {
  const std::string_view folder = folder_of(archive);
  const ArchiveEntry* entry = archive.find(cat(folder, "manifest.json"));
  if (entry == nullptr) {
    for (const ArchiveEntry& other : archive.entries()) {
      if (other.name.starts_with(folder)) {
        invalid(archive, cat(quoted(other.name), " is there, but ", folder, "manifest.json is missing; write the package again"));
      }
    }
    return std::nullopt;
  }
  if (entry->bytes > kMaxManifestBytes) {
    invalid(archive, cat("manifest: ", human_bytes(static_cast<double>(entry->bytes)), "; at most ",
                         human_bytes(static_cast<double>(kMaxManifestBytes)), " are read"));
  }
  const std::vector<std::byte> bytes = archive.read(entry->name);
  return parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, archive.path() + ": manifest");
}

/// LibTorch does not look at the checksums, so a flipped bit in a weight would be another model.
void check_sums(const Archive& archive) {
  for (const ArchiveEntry& entry : archive.entries()) {
    if (!archive.is_left(entry.name)) archive.check(entry.name);
  }
}

Archive opened(const std::string& path, Opening opening) {
  switch (opening) {
    case Opening::kMapped: return Archive::map(path);
    case Opening::kInParts: return Archive::open_in_parts(path);
    default: return Archive::open(path);
  }
}

void check_files(const Archive& archive, const Manifest& manifest) {
  const std::string_view folder = folder_of(archive);
  for (const PackagedFile& file : manifest.files) {
    const ArchiveEntry* entry = archive.find(cat(folder, file.path));
    if (entry == nullptr) invalid(archive, cat("the manifest names ", quoted(file.path), ", which is missing"));
    if (entry->bytes != static_cast<std::uint64_t>(file.bytes)) {
      invalid(archive, cat(quoted(file.path), " has ", entry->bytes, " bytes, and ", file.bytes, " in the manifest"));
    }
    const std::string found = sha256(archive.read(entry->name));
    if (found != file.sha256) {
      invalid(archive, cat(quoted(file.path), " has the sha256 ", found.substr(0, 12), "…, and ",
                           file.sha256.substr(0, 12), "… in the manifest; it was changed after packaging"));
    }
  }
  const auto named = [&](std::string_view path) {
    return path == "manifest.json" ||
           std::binary_search(manifest.files.begin(), manifest.files.end(),
                              PackagedFile{.path = std::string(path), .bytes = 0, .sha256 = {}},
                              [](const PackagedFile& a, const PackagedFile& b) { return a.path < b.path; });
  };
  for (const ArchiveEntry& entry : archive.entries()) {
    if (!entry.name.starts_with(folder)) continue;
    const std::string_view path = std::string_view(entry.name).substr(folder.size());
    if (!named(path)) invalid(archive, cat("the file ", quoted(path), " is not in the manifest"));
  }
}

}  // namespace

std::vector<std::byte> Package::file(std::string_view path) const {
  return archive.read(cat(folder_of(archive), path));
}

std::vector<std::string> package_files(const std::string& path) {
  try {
    const fs::file_status status = fs::status(path);
    if (status.type() == fs::file_type::not_found) {
      throw Error(ErrorCode::kNotFound, cat(path, ": no such file or folder; give a package, a <name> or a "
                                                  "<name>/<version> folder"));
    }
    return fs::is_directory(status) ? resolve_folder(path) : std::vector{path};
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kIo, cat(path, ": cannot be read: ", error.code().message()));
  }
}

Package open_package(const std::string& path, Opening opening) {
  Package package{.archive = opened(path, opening), .manifest = std::nullopt};
  require_program(package.archive);
  refuse_code_at_load(package.archive);
  check_sums(package.archive);
  package.manifest = read_manifest(package.archive);
  if (package.manifest) check_files(package.archive, *package.manifest);
  return package;
}

}  // namespace portfire
