#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace portfire::test {

/// One record, each part of which can be made wrong. Plain fields describe an honest record.
struct RawEntry {
  std::string name{};
  std::string data{};
  bool deflate = false;
  bool descriptor = false;

  std::optional<std::string> local_name{};        ///< where the local header says another one
  std::optional<std::uint16_t> method{};
  std::optional<std::uint32_t> crc{};
  std::optional<std::uint64_t> bytes{};           ///< unpacked size, as both headers claim it
  std::optional<std::uint64_t> packed_bytes{};
  std::optional<std::uint32_t> local_offset{};
  std::uint16_t flags = 0;
  std::uint32_t attributes = 0;
  std::string local_extra{};
  std::string central_extra{};
  std::string comment{};
  std::string hidden{};  ///< bytes between this record's end and the next
  bool zip64 = false;    ///< sizes and offset in a zip64 field
};

/// A zip written byte by byte, so that a test can write what no zip library would.
struct RawZip {
  std::vector<RawEntry> entries{};
  bool zip64_end = false;
  std::string comment{};
  std::string before{};        ///< the first record
  std::string before_end{};    ///< between the directory and the end records
  std::string after{};         ///< the end record
  std::optional<std::uint16_t> count{};      ///< as the end record claims it
  std::optional<std::uint64_t> count64{};    ///< as the zip64 end record claims it
  std::optional<std::uint64_t> zip64_at{};   ///< as the locator claims it

  [[nodiscard]] std::vector<std::byte> bytes() const;
};

/// A record by name and data.
RawEntry record(const std::string& name, const std::string& data);

/// `id`, the size of `data`, `data`.
std::string extra_field(std::uint16_t id, const std::string& data);

std::vector<std::byte> bytes_of(const std::string& text);
std::string text_of(const std::vector<std::byte>& bytes);

}  // namespace portfire::test
