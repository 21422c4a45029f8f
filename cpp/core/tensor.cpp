#include <portfire/tensor.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include <portfire/error.h>

#include "core/half.h"
#include "core/text.h"

namespace portfire {

// Note [Tensor storage]: a tensor holds a pointer to its first element and a counted share in a
// Storage, whose release function frees the memory below, whoever allocated it. Views (rows, reshapes)
// share the Storage and move the pointer.
struct Tensor::Storage {
  std::atomic<std::int64_t> shares{1};
  void (*release)(void*);
  void* context;
};

namespace {

constexpr std::size_t kAlignment = 64;

Dims contiguous_strides(const Dims& shape) {
  Dims strides = shape;
  std::int64_t step = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = step;
    step *= std::max<std::int64_t>(shape[axis], 1);
  }
  return strides;
}

/// Bytes of a contiguous tensor; throws where they could not be addressed.
std::size_t checked_bytes(DType dtype, const Dims& shape) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t bytes = size_of(dtype);
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) {
      throw Error(ErrorCode::kInvalidArgument, cat("shape ", shape.to_string(), " has a negative size"));
    }
    if (size == 0) {
      empty = true;
    } else if (bytes > kMost / static_cast<std::uint64_t>(size)) {
      throw Error(ErrorCode::kInvalidArgument, cat("shape ", shape.to_string(), " is larger than memory can be"));
    } else {
      bytes *= static_cast<std::uint64_t>(size);
    }
  }
  return empty ? 0 : bytes;
}

/// Copies a strided source into a contiguous destination.
void gather(std::byte* destination, const std::byte* source, const Dims& shape, const Dims& strides,
            std::size_t element) {
  if (shape.empty()) {
    std::memcpy(destination, source, element);
    return;
  }
  const std::size_t last = shape.size() - 1;
  Dims index = shape;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) index[axis] = 0;
  while (true) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < last; ++axis) offset += index[axis] * strides[axis];
    for (std::int64_t i = 0; i < shape[last]; ++i) {
      std::memcpy(destination, source + (offset + i * strides[last]) * static_cast<std::int64_t>(element), element);
      destination += element;
    }
    std::size_t axis = last;
    while (axis-- > 0) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
    if (axis == static_cast<std::size_t>(-1)) return;
  }
}

void print_element(std::string& out, DType dtype, const std::byte* at) {
  const auto as = [at]<typename T>(T value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (dtype) {
    case DType::kBool: out += as(std::uint8_t{}) != 0 ? "true" : "false"; return;
    case DType::kUInt8: out += cat(static_cast<int>(as(std::uint8_t{}))); return;
    case DType::kInt8: out += cat(static_cast<int>(as(std::int8_t{}))); return;
    case DType::kInt16: out += cat(as(std::int16_t{})); return;
    case DType::kInt32: out += cat(as(std::int32_t{})); return;
    case DType::kInt64: out += cat(as(std::int64_t{})); return;
    case DType::kFloat16: out += cat(float_from_half(as(std::uint16_t{}))); return;
    case DType::kBFloat16: out += cat(float_from_bfloat16(as(std::uint16_t{}))); return;
    case DType::kFloat32: out += cat(as(float{})); return;
    case DType::kFloat64: out += cat(as(double{})); return;
  }
}

}  // namespace

Dims::Dims(std::span<const std::int64_t> values) : size_(values.size()) {
  if (values.size() > kMaxRank) {
    throw Error(ErrorCode::kUnsupported, cat("a tensor of rank ", values.size(), "; at most ", kMaxRank));
  }
  std::copy(values.begin(), values.end(), values_.begin());
}

std::string Dims::to_string() const {
  std::string out = "[";
  for (std::size_t axis = 0; axis < size_; ++axis) out += cat(axis == 0 ? "" : ", ", values_[axis]);
  return out + "]";
}

bool operator==(const Dims& a, const Dims& b) noexcept {
  return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
}

Tensor::Tensor() noexcept = default;

Tensor::~Tensor() {
  if (storage_ != nullptr && storage_->shares.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    if (storage_->release != nullptr) storage_->release(storage_->context);
    delete storage_;
  }
}

Tensor::Tensor(const Tensor& other) noexcept
    : data_(other.data_),
      storage_(other.storage_),
      shape_(other.shape_),
      strides_(other.strides_),
      device_(other.device_),
      dtype_(other.dtype_) {
  if (storage_ != nullptr) storage_->shares.fetch_add(1, std::memory_order_relaxed);
}

Tensor::Tensor(Tensor&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      storage_(std::exchange(other.storage_, nullptr)),
      shape_(std::exchange(other.shape_, Dims{0})),
      strides_(std::exchange(other.strides_, Dims{1})),
      device_(std::exchange(other.device_, Device{})),
      dtype_(std::exchange(other.dtype_, DType::kFloat32)) {}

Tensor& Tensor::operator=(const Tensor& other) noexcept { return *this = Tensor(other); }

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(storage_, other.storage_);
  std::swap(shape_, other.shape_);
  std::swap(strides_, other.strides_);
  std::swap(device_, other.device_);
  std::swap(dtype_, other.dtype_);
  return *this;
}

/// The kernel gives a large block's pages when they are written to, and zeros until then.
Tensor Tensor::zeros(DType dtype, const Dims& shape) {
  const std::size_t bytes = checked_bytes(dtype, shape);
  std::size_t space = bytes + kAlignment;
  void* memory = space < bytes ? nullptr : std::calloc(1, space);
  if (memory == nullptr) {
    throw Error(ErrorCode::kResourceExhausted, cat("no memory for ", name_of(dtype), " ", shape.to_string(), ", ",
                                                   human_bytes(static_cast<double>(bytes))));
  }
  void* data = memory;
  std::align(kAlignment, bytes, data, space);
  return external({.data = data, .dtype = dtype, .shape = shape, .strides = {}, .device = {},
                   .release = [](void* context) { std::free(context); }, .context = memory});
}

Tensor Tensor::copy_bytes(const void* data, std::size_t bytes, DType dtype, const Dims& shape) {
  if (checked_bytes(dtype, shape) != bytes) {
    throw Error(ErrorCode::kInvalidArgument, cat(bytes / size_of(dtype), " values for shape ", shape.to_string()));
  }
  Tensor tensor = zeros(dtype, shape);
  if (bytes > 0) std::memcpy(tensor.data_, data, bytes);
  return tensor;
}

Tensor Tensor::external(const External& memory) {
  Tensor tensor;
  if (memory.release != nullptr) {
    tensor.storage_ = new Storage{.shares = 1, .release = memory.release, .context = memory.context};
  }
  if (!memory.strides.empty() && memory.strides.size() != memory.shape.size()) {
    throw Error(ErrorCode::kInvalidArgument, cat("strides ", memory.strides.to_string(), " for shape ",
                                                 memory.shape.to_string(), "; one a dimension"));
  }
  tensor.data_ = memory.data;
  tensor.dtype_ = memory.dtype;
  tensor.shape_ = memory.shape;
  tensor.strides_ = memory.strides.empty() ? contiguous_strides(memory.shape) : memory.strides;
  tensor.device_ = memory.device;
  return tensor;
}

std::int64_t Tensor::numel() const noexcept {
  std::int64_t count = 1;
  for (const std::int64_t size : shape_) count *= size;
  return count;
}

std::size_t Tensor::nbytes() const noexcept { return static_cast<std::size_t>(numel()) * size_of(dtype_); }

bool Tensor::is_contiguous() const noexcept {
  std::int64_t step = 1;
  for (std::size_t axis = shape_.size(); axis-- > 0;) {
    if (shape_[axis] == 0) return true;
    if (shape_[axis] != 1 && strides_[axis] != step) return false;
    step *= shape_[axis];
  }
  return true;
}

void Tensor::require_plain(DType dtype) const {
  if (dtype_ == dtype && device_.kind == Device::Kind::kCpu && is_contiguous()) return;
  throw Error(ErrorCode::kInvalidArgument,
              cat("elements asked for as contiguous ", name_of(dtype), " on the cpu; the tensor is ", to_string(0),
                  is_contiguous() ? "" : ", not contiguous"));
}

Tensor Tensor::contiguous() const {
  if (is_contiguous()) return *this;
  if (device_.kind != Device::Kind::kCpu) {
    throw Error(ErrorCode::kUnsupported, cat("a strided tensor on ", device_.to_string(), " is not copied here"));
  }
  Tensor copy = zeros(dtype_, shape_);
  if (copy.numel() > 0) {
    gather(static_cast<std::byte*>(copy.data_), static_cast<const std::byte*>(data_), shape_, strides_, size_of(dtype_));
  }
  return copy;
}

Tensor Tensor::reshaped(const Dims& shape) const {
  if (!is_contiguous() || checked_bytes(dtype_, shape) != nbytes()) {
    throw Error(ErrorCode::kInvalidArgument,
                cat("shape ", shape_.to_string(), " cannot become ", shape.to_string(), " without a copy"));
  }
  Tensor view = *this;
  view.shape_ = shape;
  view.strides_ = contiguous_strides(shape);
  return view;
}

Tensor Tensor::row(std::int64_t index) const {
  if (shape_.empty() || index < 0 || index >= shape_[0]) {
    throw Error(ErrorCode::kInvalidArgument, cat("row ", index, " of a tensor of shape ", shape_.to_string()));
  }
  Tensor view = *this;
  view.data_ = static_cast<std::byte*>(data_) + index * strides_[0] * static_cast<std::int64_t>(size_of(dtype_));
  view.shape_ = Dims(std::span(shape_.begin() + 1, shape_.end()));
  view.strides_ = Dims(std::span(strides_.begin() + 1, strides_.end()));
  return view;
}

Tensor Tensor::rows(std::int64_t first, std::int64_t count) const {
  if (shape_.empty() || first < 0 || count < 0 || first > shape_[0] || count > shape_[0] - first) {
    throw Error(ErrorCode::kInvalidArgument, cat("rows ", first, " to ", first + count, " of a tensor of shape ", shape_.to_string()));
  }
  Tensor view = *this;
  view.data_ = static_cast<std::byte*>(data_) + first * strides_[0] * static_cast<std::int64_t>(size_of(dtype_));
  view.shape_[0] = count;
  return view;
}

std::string Tensor::to_string(std::size_t max_values) const {
  std::string out = cat(name_of(dtype_), " ", shape_.to_string(), " ", device_.to_string());
  if (max_values == 0 || device_.kind != Device::Kind::kCpu || numel() == 0) return out;
  const Tensor plain = contiguous();
  const auto* at = static_cast<const std::byte*>(plain.data());
  const auto shown = std::min(static_cast<std::size_t>(numel()), max_values);
  out += " {";
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) out += ", ";
    print_element(out, dtype_, at + i * size_of(dtype_));
  }
  return out + (shown < static_cast<std::size_t>(numel()) ? ", …}" : "}");
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (a.dtype_ != b.dtype_ || a.device_ != b.device_ || a.shape_ != b.shape_) return false;
  if (a.data_ == b.data_ && a.strides_ == b.strides_) return true;
  if (a.device_.kind != Device::Kind::kCpu) return false;
  const std::size_t bytes = a.nbytes();
  return bytes == 0 || std::memcmp(a.contiguous().data_, b.contiguous().data_, bytes) == 0;
}

}  // namespace portfire
