#include "packages.h"

#include <stdlib.h>

#include <stdexcept>

#include <nlohmann/json.hpp>

#include <portfire/codecs.h>

#include "../archive/raw_zip.h"
#include "archive/archive.h"
#include "archive/sha256.h"
#include "core/file.h"

namespace portfire::test {
namespace {

constexpr const char* kManifest = "extra/portfire/manifest.json";

void follow(nlohmann::json& manifest, const std::string& path, const std::string& content) {
  auto& file = manifest["files"][path];
  file["bytes"] = content.size();
  file["sha256"] = sha256(bytes_of(content));
}

}  // namespace

Folder::Folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "portfire-api-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

Folder::~Folder() { std::filesystem::remove_all(path_); }

void write_changed(const std::string& package, const std::string& path, const std::map<std::string, std::string>& records) {
  const Archive archive = Archive::open(resolve_package(package));
  std::map<std::string, std::string> all;
  for (const ArchiveEntry& entry : archive.entries()) all[entry.name] = text_of(archive.read(entry.name));
  for (const auto& [name, content] : records) all[name] = content;
  auto manifest = nlohmann::json::parse(all[kManifest]);
  const std::string folder = "extra/portfire/";
  for (const auto& [name, content] : records) {
    if (name.starts_with(folder) && name != kManifest) follow(manifest, name.substr(folder.size()), content);
  }
  all[kManifest] = manifest.dump();
  RawZip zip;
  for (const auto& [name, content] : all) zip.entries.push_back(record(archive.root() + "/" + name, content));
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_file(path, zip.bytes());
}

std::string record_of(const std::string& package, const std::string& name) {
  return text_of(Archive::open(resolve_package(package)).read(name));
}

Input grey(std::uint8_t value, std::int64_t size) {
  return Input::bytes(encode_png(Tensor::copy_of(std::vector<std::uint8_t>(static_cast<std::size_t>(size * size), value), {size, size})));
}

Tensor floats(const std::vector<float>& values, const Dims& shape) { return Tensor::copy_of(values, shape); }

}  // namespace portfire::test
