#include "archive/archive.h"

#include <zip.h>
#include <zlib.h>

#include <algorithm>
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
  SharedBytes shared;
  std::vector<ArchiveEntry> entries;
  std::vector<std::uint64_t> zip_index;  // of each entry
  std::vector<std::uint64_t> data_begin;  // of each entry
  std::vector<std::uint32_t> crc;         // of each entry
  std::mutex mutex;                      // libzip's handle serves one thread at a time
  ZipHandle zip;                         // reads `shared`
};

Archive Archive::open(const std::string& path, const ArchiveLimits& limits) {
  return from_bytes(read_file(path, limits.max_file_bytes), path, limits);
}

Archive Archive::map(const std::string& path, const ArchiveLimits& limits) {
  return from_shared(map_file(path, limits.max_file_bytes), path, limits);
}

Archive Archive::from_bytes(std::vector<std::byte> bytes, const std::string& name, const ArchiveLimits& limits) {
  const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return from_shared({.owner = owner, .bytes = *owner}, name, limits);
}

Archive Archive::from_shared(SharedBytes shared, const std::string& name, const ArchiveLimits& limits) {
  require_zip_magic(shared.bytes, name);
  auto contents = std::make_shared<Contents>();
  contents->shared = std::move(shared);
  const std::span<const std::byte> bytes = contents->shared.bytes;
  const std::vector<ZipRecord> records = zip_records(bytes, name, limits);
  if (records.empty()) throw Error(ErrorCode::kInvalidPackage, cat(name, ": not a package (an empty zip)", kWhatIsOne));
  const std::string_view root = common_root(records, name);
  refuse_duplicates(records, name);
  check_sizes(records, name, limits);
  contents->zip = open_zip(bytes, name);
  require_same_view(contents->zip.get(), records, name);

  contents->zip_index.resize(records.size());
  std::iota(contents->zip_index.begin(), contents->zip_index.end(), 0);
  std::sort(contents->zip_index.begin(), contents->zip_index.end(),
            [&](std::uint64_t a, std::uint64_t b) { return records[a].name < records[b].name; });
  for (const std::uint64_t k : contents->zip_index) {
    contents->entries.push_back({.name = std::string(records[k].name.substr(root.size() + 1)),
                                 .bytes = records[k].bytes,
                                 .packed_bytes = records[k].packed_bytes,
                                 .stored = records[k].stored});
    contents->crc.push_back(records[k].crc);
    contents->data_begin.push_back(records[k].data_end - records[k].packed_bytes);
  }
  return {name, std::string(root), std::move(contents)};
}

std::span<const ArchiveEntry> Archive::entries() const noexcept { return contents_->entries; }

std::span<const std::byte> Archive::bytes() const noexcept { return contents_->shared.bytes; }

const ArchiveEntry* Archive::find(std::string_view name) const noexcept {
  const auto& entries = contents_->entries;
  const auto at = std::lower_bound(entries.begin(), entries.end(), name,
                                   [](const ArchiveEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != entries.end() && at->name == name ? &*at : nullptr;
}

std::span<const std::byte> Archive::view(std::string_view name) const noexcept {
  const ArchiveEntry* entry = find(name);
  if (entry == nullptr || !entry->stored) return {};
  const auto place = static_cast<std::size_t>(entry - contents_->entries.data());
  return bytes().subspan(contents_->data_begin[place], entry->bytes);
}

void Archive::check(std::string_view name) const {
  const ArchiveEntry& entry = at(name);
  if (!entry.stored) {
    (void)read(name);
    return;
  }
  const std::span<const std::byte> stored = view(name);
  const auto place = static_cast<std::size_t>(&entry - contents_->entries.data());
  if (crc32_z(0, reinterpret_cast<const Bytef*>(stored.data()), stored.size()) != contents_->crc[place]) fail_damaged(name);
}

std::vector<std::byte> Archive::read(std::string_view name) const {
  const ArchiveEntry* entry = &at(name);
  std::vector<std::byte> bytes(entry->bytes);
  const auto place = static_cast<std::size_t>(entry - contents_->entries.data());
  const std::lock_guard lock(contents_->mutex);
  const std::unique_ptr<zip_file_t, ZipFileClose> file(
      zip_fopen_index(contents_->zip.get(), contents_->zip_index[place], 0));
  std::size_t done = 0;
  bool good = file != nullptr;
  while (good && done < bytes.size()) {
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    good = got > 0;
    if (good) done += static_cast<std::size_t>(got);
  }
  // libzip compares the CRC when it meets the end, so one more byte is asked for.
  std::byte beyond{};
  if (!good || zip_fread(file.get(), &beyond, 1) != 0) {
    fail_damaged(name);
  }
  return bytes;
}

const ArchiveEntry& Archive::at(std::string_view name) const {
  const ArchiveEntry* entry = find(name);
  if (entry == nullptr) throw Error(ErrorCode::kInvalidPackage, cat(path_, ": no record ", quoted(name), " in the package"));
  return *entry;
}

void Archive::fail_damaged(std::string_view name) const {
  throw Error(ErrorCode::kInvalidPackage, cat(path_, ": damaged package: the record ", quoted(name), " does not unpack to its size and CRC; ",
                                              "copy or save it again"));
}

}  // namespace portfire
