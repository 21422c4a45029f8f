#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/export.h>

struct DLManagedTensor;  // <dlpack/dlpack.h>

namespace portfire {

enum class DType : std::uint8_t {
  kBool,
  kUInt8,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
};

/// Bytes of one element.
PORTFIRE_EXPORT std::size_t size_of(DType dtype) noexcept;
/// "float32", as NumPy and PyTorch spell it.
PORTFIRE_EXPORT std::string_view name_of(DType dtype) noexcept;
/// The inverse of `name_of`. Throws kInvalidArgument on another name.
PORTFIRE_EXPORT DType dtype_from_name(std::string_view name);
/// float16, bfloat16, float32 or float64.
PORTFIRE_EXPORT bool is_floating_point(DType dtype) noexcept;

/// The dtype of a C++ element type; bfloat16 and float16 have none and go through bytes.
template <typename T>
struct DTypeOf;
template <> struct DTypeOf<bool> { static constexpr DType value = DType::kBool; };
template <> struct DTypeOf<std::uint8_t> { static constexpr DType value = DType::kUInt8; };
template <> struct DTypeOf<std::int8_t> { static constexpr DType value = DType::kInt8; };
template <> struct DTypeOf<std::int16_t> { static constexpr DType value = DType::kInt16; };
template <> struct DTypeOf<std::int32_t> { static constexpr DType value = DType::kInt32; };
template <> struct DTypeOf<std::int64_t> { static constexpr DType value = DType::kInt64; };
template <> struct DTypeOf<float> { static constexpr DType value = DType::kFloat32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::kFloat64; };

/// Where elements lie. Regular.
struct Device {
  enum class Kind : std::uint8_t { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  int index = 0;

  /// "cpu", "cuda", "cuda:1". Throws kInvalidArgument on anything else.
  PORTFIRE_EXPORT static Device parse(std::string_view text);
  [[nodiscard]] PORTFIRE_EXPORT std::string to_string() const;
  bool operator==(const Device&) const = default;
};

/// Sizes or strides, at most `kMaxRank` of them, without an allocation. Regular.
class Dims {
 public:
  static constexpr std::size_t kMaxRank = 16;

  Dims() = default;
  Dims(std::initializer_list<std::int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  /// Throws kUnsupported on more than `kMaxRank` values.
  PORTFIRE_EXPORT explicit Dims(std::span<const std::int64_t> values);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::int64_t operator[](std::size_t axis) const noexcept { return values_[axis]; }
  [[nodiscard]] std::int64_t& operator[](std::size_t axis) noexcept { return values_[axis]; }
  [[nodiscard]] const std::int64_t* data() const noexcept { return values_.data(); }
  [[nodiscard]] const std::int64_t* begin() const noexcept { return values_.data(); }
  [[nodiscard]] const std::int64_t* end() const noexcept { return values_.data() + size_; }
  /// "[1, 3, 224, 224]"
  [[nodiscard]] PORTFIRE_EXPORT std::string to_string() const;
  PORTFIRE_EXPORT friend bool operator==(const Dims& a, const Dims& b) noexcept;

 private:
  std::array<std::int64_t, kMaxRank> values_{};
  std::size_t size_ = 0;
};

/// An n-dimensional array: dtype, shape, strides (in elements, any sign-free layout), device, and a
/// share in the memory below. Regular; copying shares the elements, as with `shared_ptr<const T>`.
/// Threads: distinct `Tensor`s may be used from distinct threads, also when they share elements;
/// elements are immutable once a tensor has been handed to anyone else.
class PORTFIRE_EXPORT Tensor {
 public:
  /// An empty float32 tensor of shape [0].
  Tensor() noexcept;
  ~Tensor();
  Tensor(const Tensor& other) noexcept;
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(const Tensor& other) noexcept;
  Tensor& operator=(Tensor&& other) noexcept;

  /// Zeros, contiguous, 64-byte aligned, on the CPU. Throws kInvalidArgument on a negative size or on
  /// more bytes than a machine can address, kResourceExhausted when memory is short.
  static Tensor zeros(DType dtype, const Dims& shape);

  /// A contiguous copy of `values` on the CPU. Throws kInvalidArgument unless the shape's product is
  /// `values.size()`.
  template <typename T>
  static Tensor copy_of(std::span<const T> values, const Dims& shape) {
    return copy_bytes(values.data(), values.size_bytes(), DTypeOf<T>::value, shape);
  }
  template <typename T>
  static Tensor copy_of(const std::vector<T>& values, const Dims& shape) {
    return copy_of(std::span<const T>(values), shape);
  }

  /// The caller's memory, not copied. `release(context)` runs once, on whichever thread drops the last
  /// share; it must not throw. A null `release` means that the caller keeps the memory alive.
  struct External {
    void* data = nullptr;
    DType dtype = DType::kFloat32;
    Dims shape{};
    Dims strides{};  ///< in elements; empty means contiguous
    Device device{};
    void (*release)(void* context) = nullptr;
    void* context = nullptr;
  };
  static Tensor external(const External& memory);

  /// Takes over `managed` (its deleter runs when the last share is dropped), also when it throws.
  /// Throws kUnsupported on a dtype, a device or a rank that Portfire does not have.
  static Tensor from_dlpack(DLManagedTensor* managed);
  /// A new share in DLPack's form; the receiver calls its `deleter`. No copy.
  [[nodiscard]] DLManagedTensor* to_dlpack() const;

  [[nodiscard]] DType dtype() const noexcept { return dtype_; }
  [[nodiscard]] Device device() const noexcept { return device_; }
  [[nodiscard]] const Dims& shape() const noexcept { return shape_; }
  [[nodiscard]] const Dims& strides() const noexcept { return strides_; }
  [[nodiscard]] std::size_t rank() const noexcept { return shape_.size(); }
  [[nodiscard]] std::int64_t numel() const noexcept;
  [[nodiscard]] std::size_t nbytes() const noexcept;
  /// Row-major without gaps.
  [[nodiscard]] bool is_contiguous() const noexcept;

  /// The first element; on a CUDA device a device pointer.
  [[nodiscard]] const void* data() const noexcept { return data_; }
  /// For whoever fills a tensor that nobody else has seen yet.
  [[nodiscard]] void* mutable_data() noexcept { return data_; }
  /// The elements of a contiguous CPU tensor of dtype T. Throws kInvalidArgument on any other.
  template <typename T>
  [[nodiscard]] std::span<const T> values() const {
    require_plain(DTypeOf<T>::value);
    return {static_cast<const T*>(data_), static_cast<std::size_t>(numel())};
  }

  /// This tensor where it is contiguous already, else a contiguous copy. CPU only (kUnsupported).
  [[nodiscard]] Tensor contiguous() const;
  /// Same elements, other shape. Contiguous tensors only; throws kInvalidArgument otherwise.
  [[nodiscard]] Tensor reshaped(const Dims& shape) const;
  /// Row `index` of the first axis: shape without that axis, sharing the memory.
  [[nodiscard]] Tensor row(std::int64_t index) const;
  /// `count` rows of the first axis from `first` on, sharing the memory. Throws kInvalidArgument where they are not there.
  [[nodiscard]] Tensor rows(std::int64_t first, std::int64_t count) const;

  /// "float32 [2, 3] cpu" and, on the CPU, up to `max_values` elements.
  [[nodiscard]] std::string to_string(std::size_t max_values = 8) const;

  /// Same dtype, shape and elements (bit for bit, so a NaN equals itself). Tensors on a GPU are equal
  /// only when they share their memory.
  friend PORTFIRE_EXPORT bool operator==(const Tensor& a, const Tensor& b);

 private:
  struct Storage;
  static Tensor copy_bytes(const void* data, std::size_t bytes, DType dtype, const Dims& shape);
  void require_plain(DType dtype) const;

  void* data_ = nullptr;
  Storage* storage_ = nullptr;  // counted; null for memory that the caller keeps alive
  Dims shape_{0};
  Dims strides_{1};
  Device device_;
  DType dtype_ = DType::kFloat32;
};

/// A tensor and what a method's signature or a file calls it. Regular.
struct NamedTensor {
  std::string name;
  Tensor tensor;
  bool operator==(const NamedTensor&) const = default;
};

}  // namespace portfire
