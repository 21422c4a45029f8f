#include "archive/archive.h"

#include <zip.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <numeric>
#include <unordered_set>

#include <portfire/error.h>

#include "archive/record_name.h"
#include "archive/zip_layout.h"
#include "core/text.h"

namespace portfire {
namespace {

struct ZipDiscard {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
struct ZipFileClose {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipHandle = std::unique_ptr<zip_t, ZipDiscard>;

constexpr std::string_view kWhatIsOne = "; a TorchScript file is a zip that torch.jit.save or portfire.package writes";

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw Error(ErrorCode::kUntrustedPackage, cat(name, ": refused: ", what));
}

void require_zip_magic(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty()) throw Error(ErrorCode::kInvalidPackage, cat(name, ": not a package (empty file)", kWhatIsOne));
  if (text.substr(0, 4) != "PK\3\4") {
    throw Error(ErrorCode::kInvalidPackage,
                cat(name, ": not a package (starts with ", quoted(text.substr(0, 8)), ")", kWhatIsOne));
  }
}

bool is_program(const ZipRecord& record) {
  return record.name.ends_with("/data.pkl") || record.name.ends_with("/models/model.json");
}

/// The folder that every record lies in.
std::string_view common_root(const std::vector<ZipRecord>& records, const std::string& name) {
  const std::string_view first = records.front().name;
  const std::string_view root = first.substr(0, first.find('/'));
  for (const ZipRecord& record : records) {
    if (const auto problem = problem_with_path(record.name); !problem.empty()) {
      refuse(name, cat("the record name ", quoted(record.name), " ", problem));
    }
    if (record.name.size() <= root.size() || record.name[root.size()] != '/' || !record.name.starts_with(root)) {
      if (!std::any_of(records.begin(), records.end(), is_program)) {
        throw Error(ErrorCode::kInvalidPackage,
                    cat(name, ": a zip, but not a model (it has neither data.pkl nor models/model.json); a TorchScript "
                              "file is what torch.jit.save or portfire.package writes"));
      }
      refuse(name, cat("the record ", quoted(record.name), " lies outside of the archive's folder ", quoted(root),
                       "; all records lie in one"));
    }
  }
  return root;
}

void check_sizes(const std::vector<ZipRecord>& records, const std::string& name, const ArchiveLimits& limits) {
  std::uint64_t total = 0;
  for (const ZipRecord& record : records) {
    if (record.bytes > limits.max_total_bytes - total) {
      refuse(name, cat("more than ", human_bytes(static_cast<double>(limits.max_total_bytes)), " when unpacked"));
    }
    total += record.bytes;
    if (record.bytes / limits.max_ratio > record.packed_bytes) {
      refuse(name, cat(quoted(record.name), " unpacks from ", record.packed_bytes, " to ", record.bytes,
                       " bytes; at most ", limits.max_ratio, " times as much is allowed"));
    }
  }
}

void refuse_duplicates(const std::vector<ZipRecord>& records, const std::string& name) {
  std::unordered_set<std::string> seen;
  for (const ZipRecord& record : records) {
    if (!seen.insert(folded(record.name)).second) {
      refuse(name, cat("the record ", quoted(record.name), " is there twice (case does not tell records apart)"));
    }
  }
}

/// A large tensor's elements, of which nothing but their values is looked at: these may wait in the file.
bool may_be_left(const ZipRecord& record, std::string_view name) {
  constexpr std::uint64_t kLeast = 64 << 10;
  const bool is_tensor = (name.starts_with("data/") || name.starts_with("constants/")) && !name.starts_with("data/aotinductor/") &&
                         name.substr(name.rfind('/')).find('.') == std::string_view::npos;
  return is_tensor && record.stored && record.bytes >= kLeast;
}

/// libzip's view of the bytes, which must outlive it.
ZipHandle open_zip(std::span<const std::byte> bytes, const std::string& name) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* zip = source != nullptr ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : nullptr;
  if (zip == nullptr) {
    if (source != nullptr) zip_source_free(source);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(ErrorCode::kInvalidPackage, cat(name, ": damaged package: ", why, "; copy or save it again"));
  }
  zip_error_fini(&error);
  return ZipHandle(zip);
}

/// Two parsers must see the same archive, or a third (LibTorch's) may see another one.
void require_same_view(zip_t* zip, const std::vector<ZipRecord>& records, const std::string& name) {
  bool same = zip_get_num_entries(zip, 0) == static_cast<zip_int64_t>(records.size());
  for (std::size_t k = 0; same && k < records.size(); ++k) {
    zip_stat_t stat;
    const char* raw = zip_get_name(zip, k, ZIP_FL_ENC_RAW);
    same = zip_stat_index(zip, k, 0, &stat) == 0 && raw != nullptr && records[k].name == raw &&
           stat.size == records[k].bytes && stat.comp_size == records[k].packed_bytes && stat.crc == records[k].crc &&
           (stat.comp_method == ZIP_CM_STORE) == records[k].stored && stat.encryption_method == ZIP_EM_NONE;
  }
  if (!same) refuse(name, "two zip readers see different records in it");
}

}  // namespace

struct Archive::Contents {
  struct Place {
    std::uint64_t zip_index = 0;
    std::uint64_t begin = 0;  ///< of the packed data in the file
    std::uint32_t crc = 0;
    bool left = false;        ///< in the file
    std::atomic<bool> held{false};  ///< against its CRC, where it is left
  };

  SharedBytes shared;
  std::shared_ptr<FileInParts> file;  // null where all is in `shared`, whose owner it is elsewhere
  std::vector<ArchiveEntry> entries;
  std::vector<Place> places;  // of each entry
  std::vector<std::size_t> left;  // those that are left in the file, in its order
  std::mutex mutex;           // libzip's handle serves one thread at a time
  ZipHandle zip;              // reads `shared`
  std::mutex recent_mutex;
  std::size_t recent = 0;  // the entry that `copy` is in the midst of
  std::vector<std::byte> recent_bytes;
};

Archive Archive::open(const std::string& path, const ArchiveLimits& limits) {
  return from_bytes(read_file(path, limits.max_file_bytes), path, limits);
}

Archive Archive::open_in_parts(const std::string& path, const ArchiveLimits& limits) {
  constexpr std::size_t kEnd = 128 << 10;  // where libzip looks for the end record
  auto file = FileInParts::open(path, limits.max_file_bytes);
  const std::span<const std::byte> bytes = file->bytes();
  file->fill(0, std::min<std::size_t>(bytes.size(), 8));
  file->fill(bytes.size() - std::min(bytes.size(), kEnd), std::min(bytes.size(), kEnd));
  return from_shared({.owner = file, .bytes = bytes}, path, limits, file);
}

Archive Archive::map(const std::string& path, const ArchiveLimits& limits) {
  return from_shared(map_file(path, limits.max_file_bytes), path, limits);
}

Archive Archive::from_bytes(std::vector<std::byte> bytes, const std::string& name, const ArchiveLimits& limits) {
  const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return from_shared({.owner = owner, .bytes = *owner}, name, limits);
}

Archive Archive::from_shared(SharedBytes shared, const std::string& name, const ArchiveLimits& limits, std::shared_ptr<FileInParts> file) {
  require_zip_magic(shared.bytes, name);
  auto contents = std::make_shared<Contents>();
  contents->shared = std::move(shared);
  contents->file = std::move(file);
  const std::span<const std::byte> bytes = contents->shared.bytes;
  const auto fetch = [&](std::uint64_t offset, std::uint64_t size) {
    if (contents->file) contents->file->fill(offset, size);
  };
  const std::vector<ZipRecord> records = zip_records(bytes, name, limits, fetch);
  if (records.empty()) throw Error(ErrorCode::kInvalidPackage, cat(name, ": not a package (an empty zip)", kWhatIsOne));
  const std::string_view root = common_root(records, name);
  refuse_duplicates(records, name);
  check_sizes(records, name, limits);
  contents->zip = open_zip(bytes, name);
  require_same_view(contents->zip.get(), records, name);

  std::vector<std::uint64_t> order(records.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::uint64_t a, std::uint64_t b) { return records[a].name < records[b].name; });
  contents->places = std::vector<Contents::Place>(records.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    const ZipRecord& record = records[order[k]];
    Contents::Place& place = contents->places[k];
    contents->entries.push_back({.name = std::string(record.name.substr(root.size() + 1)),
                                 .bytes = record.bytes,
                                 .packed_bytes = record.packed_bytes,
                                 .stored = record.stored});
    place.zip_index = order[k];
    place.begin = record.data_end - record.packed_bytes;
    place.crc = record.crc;
    place.left = contents->file != nullptr && may_be_left(record, contents->entries.back().name);
    if (place.left) {
      contents->left.push_back(k);
    } else {
      fetch(place.begin, record.packed_bytes);
    }
  }
  std::sort(contents->left.begin(), contents->left.end(),
            [&](std::size_t a, std::size_t b) { return contents->places[a].begin < contents->places[b].begin; });
  return {name, std::string(root), std::move(contents)};
}

std::span<const ArchiveEntry> Archive::entries() const noexcept { return contents_->entries; }

std::uint64_t Archive::file_bytes() const noexcept { return contents_->shared.bytes.size(); }

std::span<const std::byte> Archive::bytes() const {
  if (contents_->file) throw Error(ErrorCode::kInternal, cat(path_, ": is open in parts, and was to be read whole"));
  return contents_->shared.bytes;
}

const ArchiveEntry* Archive::find(std::string_view name) const noexcept {
  const auto& entries = contents_->entries;
  const auto at = std::lower_bound(entries.begin(), entries.end(), name,
                                   [](const ArchiveEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != entries.end() && at->name == name ? &*at : nullptr;
}

bool Archive::is_in_parts() const noexcept { return contents_->file != nullptr; }

bool Archive::is_left(std::string_view name) const noexcept {
  const ArchiveEntry* entry = find(name);
  return entry != nullptr && contents_->places[static_cast<std::size_t>(entry - contents_->entries.data())].left;
}

std::span<const std::byte> Archive::view(std::string_view name) const noexcept {
  const ArchiveEntry* entry = find(name);
  if (entry == nullptr || !entry->stored) return {};
  const Contents::Place& place = contents_->places[static_cast<std::size_t>(entry - contents_->entries.data())];
  return place.left ? std::span<const std::byte>() : contents_->shared.bytes.subspan(place.begin, entry->bytes);
}

void Archive::check(std::string_view name) const {
  constexpr std::size_t kPiece = 1 << 20;
  const std::size_t k = place_of(name);
  const ArchiveEntry& entry = contents_->entries[k];
  Contents::Place& place = contents_->places[k];
  if (!entry.stored) {
    (void)read(name);
    return;
  }
  uLong crc = 0;
  std::vector<std::byte> piece(place.left ? std::min<std::uint64_t>(kPiece, entry.bytes) : 0);
  for (std::uint64_t done = 0; place.left && done < entry.bytes; done += piece.size()) {
    const auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), entry.bytes - done));
    contents_->file->read(place.begin + done, part);
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(part.data()), part.size());
  }
  const std::span<const std::byte> stored = view(name);
  if (!place.left) crc = crc32_z(0, reinterpret_cast<const Bytef*>(stored.data()), stored.size());
  if (crc != place.crc) fail_damaged(name);
  place.held = true;
}

void Archive::check_left() const {
  for (const std::size_t k : contents_->left) {
    if (!contents_->places[k].held) check(contents_->entries[k].name);
  }
}

void Archive::read_left(std::size_t k, std::span<std::byte> to) const {
  Contents::Place& place = contents_->places[k];
  contents_->file->read(place.begin, to);
  if (crc32_z(0, reinterpret_cast<const Bytef*>(to.data()), to.size()) != place.crc) fail_damaged(contents_->entries[k].name);
  place.held = true;
}

std::vector<std::byte> Archive::read(std::string_view name) const {
  std::vector<std::byte> bytes(contents_->entries[place_of(name)].bytes);
  read(name, bytes);
  return bytes;
}

void Archive::read(std::string_view name, std::span<std::byte> to) const {
  const std::size_t k = place_of(name);
  const Contents::Place& place = contents_->places[k];
  if (place.left) {
    read_left(k, to);
    return;
  }
  const std::lock_guard lock(contents_->mutex);
  const std::unique_ptr<zip_file_t, ZipFileClose> file(zip_fopen_index(contents_->zip.get(), place.zip_index, 0));
  std::size_t done = 0;
  bool good = file != nullptr && to.size() == contents_->entries[k].bytes;
  while (good && done < to.size()) {
    const zip_int64_t got = zip_fread(file.get(), to.data() + done, to.size() - done);
    good = got > 0;
    if (good) done += static_cast<std::size_t>(got);
  }
  // libzip compares the CRC when it meets the end, so one more byte is asked for.
  std::byte beyond{};
  if (!good || zip_fread(file.get(), &beyond, 1) != 0) {
    fail_damaged(name);
  }
}

std::size_t Archive::copy(std::uint64_t position, std::span<std::byte> to) const {
  const std::span<const std::byte> bytes = contents_->shared.bytes;
  if (position >= bytes.size()) return 0;
  const std::size_t count = std::min<std::size_t>(to.size(), bytes.size() - position);
  std::memcpy(to.data(), bytes.data() + position, count);
  const auto ends_before = [&](std::size_t k, std::uint64_t at) { return contents_->places[k].begin + contents_->entries[k].bytes <= at; };
  for (auto next = std::lower_bound(contents_->left.begin(), contents_->left.end(), position, ends_before); next != contents_->left.end(); ++next) {
    const std::size_t k = *next;
    const Contents::Place& place = contents_->places[k];
    const std::uint64_t begin = std::max(place.begin, position);
    const std::uint64_t end = std::min(place.begin + contents_->entries[k].bytes, position + count);
    if (begin >= end) break;
    const std::lock_guard lock(contents_->recent_mutex);
    std::vector<std::byte>& recent = contents_->recent_bytes;
    if (recent.empty() || contents_->recent != k) {
      recent.clear();
      std::vector<std::byte> whole(contents_->entries[k].bytes);
      read_left(k, whole);
      recent = std::move(whole);
      contents_->recent = k;
    }
    std::memcpy(to.data() + (begin - position), recent.data() + (begin - place.begin), end - begin);
    if (end == place.begin + recent.size()) recent = {};
  }
  return count;
}

std::size_t Archive::place_of(std::string_view name) const {
  const ArchiveEntry* entry = find(name);
  if (entry == nullptr) throw Error(ErrorCode::kInvalidPackage, cat(path_, ": no record ", quoted(name), " in the package"));
  return static_cast<std::size_t>(entry - contents_->entries.data());
}

void Archive::fail_damaged(std::string_view name) const {
  throw Error(ErrorCode::kInvalidPackage, cat(path_, ": damaged package: the record ", quoted(name), " does not unpack to its size and CRC; ",
                                              "copy or save it again"));
}

}  // namespace portfire
