#include "raw_zip.h"

#include <zlib.h>

#include <algorithm>
#include <stdexcept>

namespace portfire::test {
namespace {

template <typename T>
std::string le(T value) {
  std::string text;
  for (std::size_t k = 0; k < sizeof(T); ++k) text += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * k));
  return text;
}
std::string u16(std::uint64_t value) { return le(static_cast<std::uint16_t>(value)); }
std::string u32(std::uint64_t value) { return le(static_cast<std::uint32_t>(value)); }
std::string u64(std::uint64_t value) { return le(value); }

std::string deflated(const std::string& data) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflateInit2");
  std::string packed(deflateBound(&stream, data.size()), '\0');
  std::string input = data;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

}  // namespace

std::vector<std::byte> RawZip::bytes() const {
  std::string out = before;
  std::string directory;
  for (const RawEntry& entry : entries) {
    const std::string packed = entry.deflate ? deflated(entry.data) : entry.data;
    const auto plain_crc = ::crc32(0, reinterpret_cast<const Bytef*>(entry.data.data()), static_cast<uInt>(entry.data.size()));
    const std::uint64_t crc = entry.crc.value_or(static_cast<std::uint32_t>(plain_crc));
    const std::uint64_t size = entry.bytes.value_or(entry.data.size());
    const std::uint64_t packed_size = entry.packed_bytes.value_or(packed.size());
    const std::uint64_t method = entry.method.value_or(entry.deflate ? 8 : 0);
    const std::uint64_t flags = entry.flags | (entry.descriptor ? 8u : 0u);
    const std::uint64_t offset = entry.local_offset.value_or(static_cast<std::uint32_t>(out.size()));
    const std::string local_name = entry.local_name.value_or(entry.name);
    const std::uint64_t none = 0xffffffff;

    const std::string local_extra = (entry.zip64 ? extra_field(1, u64(size) + u64(packed_size)) : "") + entry.local_extra;
    const bool late = entry.descriptor;
    out += u32(0x04034b50) + u16(20) + u16(flags) + u16(method) + u32(0) + u32(late ? 0 : crc) +
           u32(late ? 0 : entry.zip64 ? none : packed_size) + u32(late ? 0 : entry.zip64 ? none : size) +
           u16(local_name.size()) + u16(local_extra.size()) + local_name + local_extra + packed;
    if (late) out += u32(0x08074b50) + u32(crc) + u32(packed_size) + u32(size);
    out += entry.hidden;

    const std::string central_extra =
        (entry.zip64 ? extra_field(1, u64(size) + u64(packed_size) + u64(offset)) : "") + entry.central_extra;
    directory += u32(0x02014b50) + u16(20) + u16(20) + u16(flags) + u16(method) + u32(0) + u32(crc) +
                 u32(entry.zip64 ? none : packed_size) + u32(entry.zip64 ? none : size) + u16(entry.name.size()) +
                 u16(central_extra.size()) + u16(entry.comment.size()) + u16(0) + u16(0) + u32(entry.attributes) +
                 u32(entry.zip64 ? none : offset) + entry.name + central_extra + entry.comment;
  }
  const std::uint64_t directory_at = out.size();
  out += directory + before_end;
  const std::uint64_t claimed = count64.value_or(entries.size());
  if (zip64_end) {
    const std::uint64_t end_at = out.size();
    out += u32(0x06064b50) + u64(44) + u16(20) + u16(20) + u32(0) + u32(0) + u64(claimed) + u64(claimed) +
           u64(directory.size()) + u64(directory_at);
    out += u32(0x07064b50) + u32(0) + u64(zip64_at.value_or(end_at)) + u32(1);
  }
  const std::uint64_t small = count.value_or(static_cast<std::uint16_t>(entries.size()));
  out += u32(0x06054b50) + u16(0) + u16(0) + u16(small) + u16(small) + u32(directory.size()) + u32(directory_at) +
         u16(comment.size()) + comment + after;
  return bytes_of(out);
}

RawEntry record(const std::string& name, const std::string& data) {
  RawEntry entry;
  entry.name = name;
  entry.data = data;
  return entry;
}

std::string extra_field(std::uint16_t id, const std::string& data) { return u16(id) + u16(data.size()) + data; }

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace portfire::test
