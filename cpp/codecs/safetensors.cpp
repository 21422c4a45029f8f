#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>
#include <string>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "codecs/json_text.h"
#include "codecs/layout.h"
#include "core/text.h"

namespace portfire {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 16 << 20;  // some 100,000 tensors
constexpr std::string_view kMetadata = "__metadata__";

struct Row {
  DType dtype;
  std::string_view name;
};

// In the order in which the reference implementation lays tensors out, last first.
constexpr std::array<Row, 10> kRows{{{DType::kBool, "BOOL"},
                                     {DType::kUInt8, "U8"},
                                     {DType::kInt8, "I8"},
                                     {DType::kInt16, "I16"},
                                     {DType::kFloat16, "F16"},
                                     {DType::kBFloat16, "BF16"},
                                     {DType::kInt32, "I32"},
                                     {DType::kFloat32, "F32"},
                                     {DType::kFloat64, "F64"},
                                     {DType::kInt64, "I64"}}};

const Row* row_of(DType dtype) {
  return std::find_if(kRows.begin(), kRows.end(), [dtype](const Row& row) { return row.dtype == dtype; });
}

/// A tensor as the header tells of it.
struct Entry {
  std::string name;
  DType dtype = DType::kFloat32;
  Dims shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::vector<std::int64_t> whole_numbers(const std::string& what, const Json& list) {
  std::vector<std::int64_t> values;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const Json& value : list) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) {
      throw Error(ErrorCode::kInvalidInput, cat(what, ": shape and data_offsets are lists of whole numbers"));
    }
    values.push_back(value.get<std::int64_t>());
  }
  return values;
}

Entry parse_entry(std::string_view file, const std::string& name, const Json& json) {
  const std::string what = cat(file, ": tensor ", quoted(name));
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json["dtype"].is_string() ||
      !json.contains("shape") || !json["shape"].is_array() || !json.contains("data_offsets") ||
      !json["data_offsets"].is_array() || json["data_offsets"].size() != 2) {
    throw Error(ErrorCode::kInvalidInput, cat(what, " is not told by dtype, shape and two data_offsets"));
  }
  const auto& type = json["dtype"].get_ref<const std::string&>();
  const Row* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& known) { return known.name == type; });
  if (row == kRows.end()) {
    std::string allowed;
    for (const Row& known : kRows) allowed += cat(allowed.empty() ? "" : ", ", known.name);
    throw Error(ErrorCode::kUnsupported, cat(what, " is of dtype ", quoted(type), "; one of ", allowed, " is needed"));
  }
  const std::vector<std::int64_t> offsets = whole_numbers(what, json["data_offsets"]);
  return {.name = name,
          .dtype = row->dtype,
          .shape = checked_shape(what, row->dtype, whole_numbers(what, json["shape"])),
          .begin = static_cast<std::uint64_t>(offsets[0]),
          .end = static_cast<std::uint64_t>(offsets[1])};
}

/// Sorted by place. The tensors fill `size` bytes one after another: nothing shared, nothing hidden.
void require_tiling(std::string_view file, std::vector<Entry>& entries, std::uint64_t size) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != at || entry.end < entry.begin || entry.end > size) {
      throw Error(ErrorCode::kInvalidInput,
                  cat(file, ": tensor ", quoted(entry.name), " lies at bytes ", entry.begin, " to ", entry.end,
                      "; one that begins at ", at, " and ends by ", size, " is needed there"));
    }
    at = entry.end;
  }
  if (at != size) {
    throw Error(ErrorCode::kInvalidInput, cat(file, ": ", size - at, " bytes after the last tensor"));
  }
}

std::string json_string(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kInvalidArgument, cat("tensor name ", quoted(text), " is not UTF-8"));
  }
}

}  // namespace

std::vector<NamedTensor> decode_safetensors(std::span<const std::byte> bytes, std::string_view name) {
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    throw Error(ErrorCode::kInvalidInput, cat(name, ": ", bytes.size(), " bytes are too few for .safetensors"));
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::uint64_t most = std::min<std::uint64_t>(kMaxHeaderBytes, bytes.size() - kLengthBytes);
  if (length > most) {
    throw Error(ErrorCode::kInvalidInput, cat(name, ": not .safetensors, or cut short: a header of ", length,
                                              " bytes; at most ", most, " are possible"));
  }
  const Json header = parse_json(cat(name, ": .safetensors header"), bytes.subspan(kLengthBytes, length), 3);
  if (!header.is_object()) throw Error(ErrorCode::kInvalidInput, cat(name, ": the .safetensors header is no object"));

  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key != kMetadata) entries.push_back(parse_entry(name, key, value));
  }
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);
  require_tiling(name, entries, data.size());

  std::vector<NamedTensor> tensors;
  for (const Entry& entry : entries) {
    const auto elements = data.subspan(entry.begin, entry.end - entry.begin);
    const std::string what = cat(name, ": tensor ", quoted(entry.name));
    tensors.push_back({entry.name, tensor_from_bytes(what, elements, entry.dtype, entry.shape)});
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return tensors;
}

std::vector<std::byte> encode_safetensors(std::span<const NamedTensor> tensors) {
  std::vector<NamedTensor> sorted;
  for (const NamedTensor& named : tensors) sorted.push_back({named.name, named.tensor.contiguous()});
  std::sort(sorted.begin(), sorted.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const Row* left = row_of(a.tensor.dtype());
    const Row* right = row_of(b.tensor.dtype());
    return left != right ? left > right : a.name < b.name;
  });

  std::string text = "{";
  std::set<std::string_view> names{kMetadata};
  std::uint64_t at = 0;
  for (const NamedTensor& named : sorted) {
    if (!names.insert(named.name).second) {
      throw Error(ErrorCode::kInvalidArgument,
                  cat("tensor name ", quoted(named.name), " stands twice or is reserved; names are distinct"));
    }
    const std::uint64_t end = at + named.tensor.nbytes();
    const Json shape(std::vector<std::int64_t>(named.tensor.shape().begin(), named.tensor.shape().end()));
    text += cat(text.size() == 1 ? "" : ",", json_string(named.name), ":{\"dtype\":\"",
                row_of(named.tensor.dtype())->name, "\",\"shape\":", shape.dump(), ",\"data_offsets\":[", at, ",", end,
                "]}");
    at = end;
  }
  text += '}';
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');  // so that elements are aligned

  const std::uint64_t length = text.size();
  std::vector<std::byte> bytes(kLengthBytes + length + at);
  std::memcpy(bytes.data(), &length, kLengthBytes);
  std::memcpy(bytes.data() + kLengthBytes, text.data(), length);
  std::byte* out = bytes.data() + kLengthBytes + length;
  for (const NamedTensor& named : sorted) {
    const std::size_t size = named.tensor.nbytes();
    if (size > 0) std::memcpy(out, named.tensor.data(), size);
    out += size;
  }
  return bytes;
}

}  // namespace portfire
