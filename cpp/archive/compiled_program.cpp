#include "archive/compiled_program.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "archive/exported_weights.h"
#include "archive/json_node.h"
#include "core/text.h"

namespace portfire::exported {
namespace {

constexpr std::string_view kFolder = "data/aotinductor/";
constexpr std::string_view kObject = ".so";

bool is_ours(std::string_view name) { return name.starts_with(kFolder) && name.ends_with(kObject); }

/// A word or two that people are shown.
std::string text_of(const JsonNode& metadata, std::string_view key) {
  if (!metadata.has(key)) return {};
  const std::string text = metadata.at(key).string();
  if (std::any_of(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; })) metadata.at(key).fail("not printable");
  return text;
}

/// True for what begins as ELF files do, packed or not.
bool is_elf(const Archive& archive, const ArchiveEntry& entry) {
  constexpr unsigned char kElf[] = {0x7f, 'E', 'L', 'F'};
  const std::vector<std::byte> unpacked = entry.stored ? std::vector<std::byte>{} : archive.read(entry.name);
  const std::span<const std::byte> bytes = entry.stored ? archive.view(entry.name) : unpacked;
  return bytes.size() >= sizeof kElf && std::memcmp(bytes.data(), kElf, sizeof kElf) == 0;
}

}  // namespace

std::string CompiledProgram::target() const {
  return cat(platform, " ", machine, " ", instructions, ", ", device, ", torch ", torch_version.empty() ? "of an unknown version" : torch_version);
}

std::vector<CompiledProgram> compiled_programs(const Archive& archive) {
  std::vector<CompiledProgram> programs;
  for (const ArchiveEntry& entry : archive.entries()) {
    if (!is_ours(entry.name)) continue;
    const std::string record = cat(entry.name.substr(0, entry.name.size() - kObject.size()), "_metadata.json");
    if (archive.find(record) == nullptr) {
      throw Error(ErrorCode::kInvalidPackage, cat(archive.path(), ": ", quoted(entry.name), " does not say what it was compiled for (", quoted(record), " is missing)"));
    }
    const std::string document = cat(archive.path(), ": ", record);
    const nlohmann::json text = read_json(archive, record, document);
    const JsonNode metadata(text, document);
    metadata.require({"AOTI_PLATFORM", "AOTI_MACHINE", "AOTI_CPU_ISA", "AOTI_DEVICE_KEY"});
    programs.push_back({.record = entry.name,
                        .platform = text_of(metadata, "AOTI_PLATFORM"),
                        .machine = text_of(metadata, "AOTI_MACHINE"),
                        .instructions = text_of(metadata, "AOTI_CPU_ISA"),
                        .device = text_of(metadata, "AOTI_DEVICE_KEY"),
                        .torch_version = text_of(metadata, "PORTFIRE_TORCH")});
  }
  return programs;
}

void refuse_foreign_objects(const Archive& archive) {
  for (const ArchiveEntry& entry : archive.entries()) {
    if (is_ours(entry.name)) continue;
    if (is_elf(archive, entry) || entry.name.ends_with(kObject) || entry.name.find(".so.") != std::string::npos) {
      throw Error(ErrorCode::kUntrustedPackage, cat(archive.path(), ": ", entry.name, ": a shared object where none belongs"));
    }
  }
}

}  // namespace portfire::exported
