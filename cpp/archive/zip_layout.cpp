#include "archive/zip_layout.h"

#include <algorithm>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

// APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16.
constexpr std::uint32_t kLocalMagic = 0x04034b50;
constexpr std::uint32_t kDescriptorMagic = 0x08074b50;
constexpr std::uint32_t kCentralMagic = 0x02014b50;
constexpr std::uint32_t kEnd64Magic = 0x06064b50;
constexpr std::uint32_t kLocatorMagic = 0x07064b50;
constexpr std::uint32_t kEndMagic = 0x06054b50;
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kCentralBytes = 46;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocatorBytes = 20;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint16_t kNone16 = 0xffff;  // "look in the zip64 record"
constexpr std::uint32_t kNone32 = 0xffffffff;

constexpr unsigned kFlagEncrypted = 1u << 0 | 1u << 6 | 1u << 13;
constexpr unsigned kFlagDescriptor = 1u << 3;
constexpr unsigned kFlagsKnown = kFlagEncrypted | 1u << 1 | 1u << 2 | kFlagDescriptor | 1u << 11;

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t end = 0;
  std::uint64_t entries = 0;
};

class Layout {
 public:
  Layout(std::span<const std::byte> bytes, const std::string& name, const ArchiveLimits& limits,
         const std::function<void(std::uint64_t, std::uint64_t)>& fetch)
      : bytes_(bytes), name_(name), limits_(limits), fetch_(fetch) {}

  std::vector<ZipRecord> records() {
    const Directory directory = find_directory();
    std::vector<ZipRecord> records;
    records.reserve(directory.entries);
    std::uint64_t at = directory.offset;
    for (std::uint64_t k = 0; k < directory.entries; ++k) records.push_back(central_record(at, directory));
    if (at != directory.end) damaged("its directory is longer than its records");
    for (ZipRecord& record : records) check_local_header(record, directory.offset);
    check_tiling(records, directory.offset);
    return records;
  }

 private:
  [[noreturn]] void damaged(std::string_view what) const {
    throw Error(ErrorCode::kInvalidPackage, cat(name_, ": damaged package: ", what, "; copy or save it again"));
  }
  [[noreturn]] void refused(std::string_view what) const {
    throw Error(ErrorCode::kUntrustedPackage,
                cat(name_, ": refused: ", what, "; torch.jit.save and portfire.package write no such file"));
  }

  template <typename T>
  T get(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) damaged("it ends too early");
    if (fetch_) fetch_(offset, sizeof(T));
    T value = 0;
    for (std::size_t k = 0; k < sizeof(T); ++k) {
      value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(bytes_[offset + k]) << (8 * k)));
    }
    return value;
  }
  std::uint16_t u16(std::uint64_t offset) const { return get<std::uint16_t>(offset); }
  std::uint32_t u32(std::uint64_t offset) const { return get<std::uint32_t>(offset); }
  std::uint64_t u64(std::uint64_t offset) const { return get<std::uint64_t>(offset); }
  std::string_view text(std::uint64_t offset, std::uint64_t length) const {
    if (offset > bytes_.size() || bytes_.size() - offset < length) damaged("it ends too early");
    if (fetch_) fetch_(offset, length);
    return {reinterpret_cast<const char*>(bytes_.data()) + offset, length};
  }

  Directory find_directory() const {
    const std::uint64_t size = bytes_.size();
    if (size < kEndBytes || u32(size - kEndBytes) != kEndMagic) {
      damaged("the zip's end record is not its last 22 bytes, so it was cut short or something follows it");
    }
    const std::uint64_t end = size - kEndBytes;
    if (u16(end + 20) != 0) refused("the zip has a comment");
    if (u16(end + 4) != 0 || u16(end + 6) != 0) refused("the zip is one of several volumes");
    const std::uint16_t entries = u16(end + 10);
    const std::uint32_t bytes = u32(end + 12);
    const std::uint32_t offset = u32(end + 16);
    if (u16(end + 8) != entries) damaged("its two entry counts differ");

    Directory directory{.offset = offset, .end = end, .entries = entries};
    std::uint64_t directory_bytes = bytes;
    if (end >= kLocatorBytes && u32(end - kLocatorBytes) == kLocatorMagic) {
      const std::uint64_t locator = end - kLocatorBytes;
      directory.end = u64(locator + 8);
      if (locator < kEnd64Bytes || directory.end != locator - kEnd64Bytes || u32(directory.end) != kEnd64Magic ||
          u64(directory.end + 4) != kEnd64Bytes - 12) {
        damaged("its zip64 end record is not where the locator says");
      }
      if (u32(locator + 4) != 0 || u32(locator + 16) != 1 || u32(directory.end + 16) != 0 ||
          u32(directory.end + 20) != 0) {
        refused("the zip is one of several volumes");
      }
      directory.entries = u64(directory.end + 32);
      directory_bytes = u64(directory.end + 40);
      directory.offset = u64(directory.end + 48);
      if (u64(directory.end + 24) != directory.entries || (entries != kNone16 && entries != directory.entries) ||
          (bytes != kNone32 && bytes != directory_bytes) || (offset != kNone32 && offset != directory.offset)) {
        damaged("its two end records differ");
      }
    } else if (entries == kNone16 || bytes == kNone32 || offset == kNone32) {
      damaged("its zip64 end record is missing");
    }
    if (directory.entries > limits_.max_entries) {
      refused(cat(directory.entries, " entries; at most ", limits_.max_entries, " are read"));
    }
    if (directory.offset > directory.end || directory.end - directory.offset != directory_bytes ||
        directory_bytes / kCentralBytes < directory.entries) {
      damaged("its directory does not lie before its end record");
    }
    return directory;
  }

  /// The zip64 field's place and size (0 when there is none); refuses fields that rename or re-describe.
  std::span<const std::byte> zip64_field(std::uint64_t offset, std::uint64_t length, std::string_view record) const {
    constexpr std::uint16_t kZip64 = 0x0001;
    // What PyTorch pads with, and the time stamps and owners of Info-ZIP. Not 0x7075, which some readers
    // take a record's name from and others do not.
    constexpr std::uint16_t kHarmless[] = {0x4246, 0x5455, 0x7875};
    std::span<const std::byte> found;
    const std::uint64_t end = offset + length;
    while (offset < end) {
      if (end - offset < 4 || end - offset - 4 < u16(offset + 2)) damaged(cat("extra field of ", quoted(record)));
      const std::uint16_t id = u16(offset);
      const std::uint16_t size = u16(offset + 2);
      if (id == kZip64) {
        if (!found.empty()) refused(cat("two zip64 fields in ", quoted(record)));
        found = bytes_.subspan(offset + 4, size);
      } else if (std::find(std::begin(kHarmless), std::end(kHarmless), id) == std::end(kHarmless)) {
        refused(cat("extra field ", id, " in ", quoted(record)));
      }
      offset += 4u + size;
    }
    return found;
  }

  ZipRecord central_record(std::uint64_t& at, const Directory& directory) const {
    if (directory.end - at < kCentralBytes || u32(at) != kCentralMagic) damaged("its directory is cut short");
    const unsigned flags = u16(at + 8);
    const unsigned method = u16(at + 10);
    const std::uint64_t name_bytes = u16(at + 28);
    const std::uint64_t extra_bytes = u16(at + 30);
    if (name_bytes > limits_.max_name_bytes) {
      refused(cat("a name of ", name_bytes, " bytes; at most ", limits_.max_name_bytes, " are read"));
    }
    if (directory.end - at - kCentralBytes < name_bytes + extra_bytes) damaged("its directory is cut short");

    ZipRecord record{.name = text(at + kCentralBytes, name_bytes),
                     .stored = method == 0,
                     .has_descriptor = (flags & kFlagDescriptor) != 0,
                     .crc = u32(at + 16),
                     .packed_bytes = u32(at + 20),
                     .bytes = u32(at + 24),
                     .offset = u32(at + 42)};
    const std::string called = quoted(record.name);
    if ((flags & kFlagEncrypted) != 0) refused(cat(called, " is encrypted"));
    if ((flags & ~kFlagsKnown) != 0) refused(cat(called, " has the zip flags ", flags));
    if (method != 0 && method != 8) {
      refused(cat(called, " is compressed by method ", method, "; stored and deflate are read"));
    }
    if (u16(at + 32) != 0) refused(cat(called, " has a comment"));
    if (u16(at + 34) != 0) refused("the zip is one of several volumes");
    const unsigned mode = u32(at + 38) >> 28;  // the file type of a Unix mode
    if (mode != 0 && mode != 8) refused(cat(called, " is a link, a folder or a device"));

    auto zip64 = zip64_field(at + kCentralBytes + name_bytes, extra_bytes, record.name);
    for (std::uint64_t* field : {&record.bytes, &record.packed_bytes, &record.offset}) {
      if (*field != kNone32) continue;
      if (zip64.size() < 8) damaged(cat("the zip64 field of ", called, " is too short"));
      *field = u64(static_cast<std::uint64_t>(zip64.data() - bytes_.data()));
      zip64 = zip64.subspan(8);
    }
    if (!zip64.empty()) refused(cat("the zip64 field of ", called, " says more than is needed"));
    if (record.stored && record.packed_bytes != record.bytes) {
      refused(cat(called, " is stored, but its two sizes differ"));
    }
    at += kCentralBytes + name_bytes + extra_bytes;
    return record;
  }

  void check_local_header(ZipRecord& record, std::uint64_t directory_offset) const {
    const std::uint64_t at = record.offset;
    const std::string called = quoted(record.name);
    if (at > directory_offset || directory_offset - at < kLocalBytes || u32(at) != kLocalMagic) {
      damaged(cat(called, " is not where the directory says"));
    }
    const unsigned flags = u16(at + 6);
    const std::uint64_t name_bytes = u16(at + 26);
    const std::uint64_t extra_bytes = u16(at + 28);
    const auto same = [&](std::uint32_t local, std::uint64_t central, bool is_size) {
      return local == central || (record.has_descriptor && local == 0) || (is_size && local == kNone32);
    };
    if (((flags & kFlagDescriptor) != 0) != record.has_descriptor || (flags & kFlagEncrypted) != 0 ||
        u16(at + 8) != (record.stored ? 0 : 8) || text(at + kLocalBytes, name_bytes) != record.name ||
        !same(u32(at + 14), record.crc, false) || !same(u32(at + 18), record.packed_bytes, true) ||
        !same(u32(at + 22), record.bytes, true)) {
      refused(cat(called, " is described twice, and differently"));
    }
    zip64_field(at + kLocalBytes + name_bytes, extra_bytes, record.name);
    const std::uint64_t data = at + kLocalBytes + name_bytes + extra_bytes;
    if (data > directory_offset || directory_offset - data < record.packed_bytes) {
      damaged(cat(called, " reaches into the directory"));
    }
    record.data_end = data + record.packed_bytes;
  }

  /// Between one record's data and the next record lies its descriptor, or nothing.
  void check_tiling(const std::vector<ZipRecord>& records, std::uint64_t directory_offset) const {
    std::vector<const ZipRecord*> order;
    for (const ZipRecord& record : records) order.push_back(&record);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
    if ((order.empty() ? directory_offset : order.front()->offset) != 0) refused("bytes before the first record");
    for (std::size_t k = 0; k < order.size(); ++k) {
      const ZipRecord& record = *order[k];
      const std::uint64_t next = k + 1 < order.size() ? order[k + 1]->offset : directory_offset;
      if (next < record.data_end) refused(cat(quoted(record.name), " overlaps another record"));
      if (!is_descriptor(record, next - record.data_end)) {
        refused(cat(next - record.data_end, " bytes hidden after ", quoted(record.name)));
      }
    }
  }

  bool is_descriptor(const ZipRecord& record, std::uint64_t gap) const {
    if (!record.has_descriptor) return gap == 0;
    const std::uint64_t at = record.data_end;
    if ((gap != 16 && gap != 24) || u32(at) != kDescriptorMagic || u32(at + 4) != record.crc) return false;
    return gap == 16 ? u32(at + 8) == record.packed_bytes && u32(at + 12) == record.bytes
                     : u64(at + 8) == record.packed_bytes && u64(at + 16) == record.bytes;
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  const ArchiveLimits& limits_;
  const std::function<void(std::uint64_t, std::uint64_t)>& fetch_;
};

}  // namespace

std::vector<ZipRecord> zip_records(std::span<const std::byte> bytes, const std::string& name,
                                   const ArchiveLimits& limits,
                                   const std::function<void(std::uint64_t, std::uint64_t)>& fetch) {
  return Layout(bytes, name, limits, fetch).records();
}

}  // namespace portfire
