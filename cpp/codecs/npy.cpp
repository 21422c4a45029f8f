#include <array>
#include <cstring>
#include <string>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "codecs/layout.h"
#include "codecs/npy_header.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy's own headers are of 128 bytes or so; a longer one is no array of numbers.
constexpr std::size_t kMaxHeaderBytes = 64 * 1024;

struct Row {
  DType dtype;
  std::string_view descr;
};

constexpr std::array<Row, 9> kRows{{{DType::kBool, "|b1"},
                                    {DType::kUInt8, "|u1"},
                                    {DType::kInt8, "|i1"},
                                    {DType::kInt16, "<i2"},
                                    {DType::kInt32, "<i4"},
                                    {DType::kInt64, "<i8"},
                                    {DType::kFloat16, "<f2"},
                                    {DType::kFloat32, "<f4"},
                                    {DType::kFloat64, "<f8"}}};

DType dtype_of(const std::string& descr, std::string_view name) {
  for (const Row& row : kRows) {
    if (row.descr == descr) return row.dtype;
  }
  const std::string what = cat(name, ": element type ", quoted(descr));
  if (descr.starts_with('>')) {
    throw Error(ErrorCode::kUnsupported, cat(what, " is big-endian; save it as little-endian"));
  }
  if (descr.find('O') != std::string::npos) {
    throw Error(ErrorCode::kUnsupported, cat(what, " holds pickled Python objects, which are never read"));
  }
  std::string allowed;
  for (const Row& row : kRows) allowed += cat(allowed.empty() ? "" : ", ", row.descr);
  throw Error(ErrorCode::kUnsupported, cat(what, "; one of ", allowed, " is needed"));
}

/// The same elements with the axes in the other order, sharing the memory.
Tensor transposed(const Tensor& base) {
  const std::size_t rank = base.rank();
  Dims shape = base.shape();
  Dims strides = base.strides();
  for (std::size_t axis = 0; axis < rank; ++axis) {
    shape[axis] = base.shape()[rank - 1 - axis];
    strides[axis] = base.strides()[rank - 1 - axis];
  }
  auto* share = new Tensor(base);
  return Tensor::external({.data = share->mutable_data(), .dtype = base.dtype(), .shape = shape, .strides = strides,
                           .device = {}, .release = [](void* context) { delete static_cast<Tensor*>(context); },
                           .context = share});
}

}  // namespace

Tensor decode_npy(std::span<const std::byte> bytes, std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) {
    throw Error(ErrorCode::kInvalidInput, cat(name, ": not a .npy file (starts with ", quoted(text.substr(0, 8)), ")"));
  }
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(bytes[i]); };
  if (bytes.size() < 10) throw Error(ErrorCode::kInvalidInput, cat(name, ": the .npy header ends too early"));
  const std::size_t version = byte(6);
  if (version < 1 || version > 3) {
    throw Error(ErrorCode::kUnsupported, cat(name, ": .npy version ", version, "; 1 to 3 are supported"));
  }
  const std::size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) throw Error(ErrorCode::kInvalidInput, cat(name, ": the .npy header ends too early"));
  std::size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - start) {
    throw Error(ErrorCode::kInvalidInput,
                cat(name, ": a .npy header of ", length, " bytes in a file of ", bytes.size(), " bytes"));
  }
  if (length > kMaxHeaderBytes) {
    throw Error(ErrorCode::kUnsupported,
                cat(name, ": a .npy header of ", length, " bytes; at most ", kMaxHeaderBytes, " are read"));
  }

  NpyHeader header = parse_npy_header(text.substr(start, length), name);
  const DType dtype = dtype_of(header.descr, name);
  // Fortran's order is C's with the axes turned round.
  if (header.fortran_order) header.shape = {header.shape.rbegin(), header.shape.rend()};
  const Dims shape = checked_shape(name, dtype, header.shape);
  const Tensor tensor = tensor_from_bytes(name, bytes.subspan(start + length), dtype, shape);
  return header.fortran_order && tensor.rank() > 1 ? transposed(tensor) : tensor;
}

std::vector<std::byte> encode_npy(const Tensor& tensor) {
  std::string_view descr;
  for (const Row& row : kRows) {
    if (row.dtype == tensor.dtype()) descr = row.descr;
  }
  if (descr.empty()) {
    throw Error(ErrorCode::kUnsupported,
                cat(name_of(tensor.dtype()), " has no .npy type; convert it, or write .safetensors"));
  }
  const Tensor plain = tensor.contiguous();
  std::string shape;
  for (std::size_t axis = 0; axis < plain.rank(); ++axis) shape += cat(axis == 0 ? "" : ", ", plain.shape()[axis]);
  if (plain.rank() == 1) shape += ",";
  std::string header = cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (", shape, "), }");
  // Room for the first axis to grow in place, and elements at a multiple of 64: both as NumPy does.
  constexpr std::size_t kGrowthDigits = 21;
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kPrefix = kMagic.size() + 4;
  if (plain.rank() > 0) header.append(kGrowthDigits - std::to_string(plain.shape()[0]).size(), ' ');
  header.append(kAlignment - (kPrefix + header.size() + 1) % kAlignment, ' ');
  header += '\n';

  std::string start(kMagic);
  start += '\1';
  start += '\0';
  start += static_cast<char>(header.size() & 0xff);
  start += static_cast<char>(header.size() >> 8);
  start += header;
  std::vector<std::byte> bytes(start.size() + plain.nbytes());
  std::memcpy(bytes.data(), start.data(), start.size());
  if (plain.nbytes() > 0) std::memcpy(bytes.data() + start.size(), plain.data(), plain.nbytes());
  return bytes;
}

}  // namespace portfire
