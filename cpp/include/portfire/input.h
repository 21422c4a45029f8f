#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/export.h>
#include <portfire/tensor.h>

namespace portfire {

/// One raw thing to run a model on: a file, its bytes, or tensors. Regular. Nothing is read before the
/// model that it is given to does so.
class PORTFIRE_EXPORT Input {
 public:
  enum class Kind : std::uint8_t { kFile, kBytes, kTensors };

  /// The bytes of a file; `path` is UTF-8 and also names the input in errors.
  static Input file(std::string path);
  /// Encoded bytes (a PNG, a .npy, …), copied; `name` is what errors call them.
  static Input bytes(std::span<const std::byte> bytes, std::string name = "input");
  /// A text in UTF-8, copied.
  static Input text(std::string_view text, std::string name = "text");
  /// Decoded data: what `preprocess` takes, or for task `tensor` what `forward` takes. An empty name
  /// stands for the argument at the same place.
  static Input tensors(std::vector<NamedTensor> tensors, std::string name = "input");
  static Input tensor(Tensor tensor, std::string name = "input");

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// kBytes: the bytes; kFile: read now (throws kNotFound, kIo); kTensors: throws kInvalidArgument.
  [[nodiscard]] std::vector<std::byte> read() const;
  [[nodiscard]] const std::vector<NamedTensor>& tensors() const noexcept { return tensors_; }

  bool operator==(const Input&) const = default;

 private:
  Input(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}

  Kind kind_;
  std::string name_;
  std::vector<std::byte> bytes_;
  std::vector<NamedTensor> tensors_;
};

}  // namespace portfire
