#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/export.h>
#include <portfire/tensor.h>

namespace portfire {

/// The newest package format that this library reads.
inline constexpr int kFormatVersion = 1;

/// One axis of a shape: a size, or a symbol such as "N" that stands for the same size throughout a call.
struct Dimension {
  std::int64_t size = -1;  ///< -1 when symbolic
  std::string symbol;      ///< empty when fixed
  std::int64_t least = 1;  ///< of a symbol: the sizes that it may stand for
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  bool operator==(const Dimension&) const = default;
};

/// What a method takes or gives in one place.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<Dimension> shape;
  std::optional<double> minimum;  ///< inclusive; with either bound NaN is refused too
  std::optional<double> maximum;  ///< inclusive
  std::string layout;             ///< "NCHW"; empty when it has none
  std::string unit;               ///< "Hz"; empty when it has none
  /// Of `forward`'s inputs: samples of other sizes on its symbolic axes may share a batch, filled up at the end with this.
  std::optional<double> padding{};
  bool operator==(const TensorSpec&) const = default;
};

/// One exported method: "preprocess", "forward" or "postprocess".
struct MethodSpec {
  std::string name;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  bool operator==(const MethodSpec&) const = default;
};

/// What comes in from outside, before any tensor.
struct RawInput {
  std::string kind;              ///< "image", "text" or "tensor"
  std::int64_t max_pixels = 0;   ///< image: refused before memory is taken
  std::string tokenizer{};       ///< text: the packaged file, "assets/tokenizer.json"
  std::int64_t max_bytes = 0;    ///< text: longer ones are refused
  std::int64_t max_tokens = 0;   ///< text
  bool truncates = false;        ///< text: of more tokens the first `max_tokens` are taken; else they are refused
  bool repairs = false;          ///< text: what is not UTF-8 becomes U+FFFD; else it is refused
  bool operator==(const RawInput&) const = default;
};

/// |actual - expected| <= atol + rtol * |expected|, for outputs of one dtype.
struct Tolerance {
  DType dtype = DType::kFloat32;
  double atol = 0;
  double rtol = 0;
  bool operator==(const Tolerance&) const = default;
};

/// A file under `extra/portfire/`, with what it must hash to.
struct PackagedFile {
  std::string path;
  std::int64_t bytes = 0;
  std::string sha256;  ///< 64 lower-case hexadecimal digits
  bool operator==(const PackagedFile&) const = default;
};

/// A raw input and the file with every stage's output that Python computed for it.
struct GoldenSample {
  std::string input;     ///< "golden/0/input.png"
  std::string expected;  ///< "golden/0/expected.safetensors"; keys "<method>/<output name>"
  bool operator==(const GoldenSample&) const = default;
};

/// How task `text-generation` goes on: `forward` takes ids [N, S], their positions [N, S], the places [R] of the tokens
/// whose logits are wanted, and state that it reads and writes.
struct GenerationSpec {
  std::int64_t context = 0;                 ///< the most tokens of prompt and text together
  std::vector<std::int64_t> stop_tokens{};  ///< each ends a text
  bool operator==(const GenerationSpec&) const = default;
};

/// What a package says of itself: docs/package-format.md, field by field. Regular.
struct Manifest {
  int format_version = kFormatVersion;
  std::string name;
  std::int64_t version = 1;
  std::string task;
  std::string licence;
  std::string description;
  RawInput raw_input;
  std::vector<MethodSpec> methods;
  std::vector<std::string> labels;
  std::int64_t max_batch = 1;  ///< the most samples that `run` puts through one `forward`
  std::optional<GenerationSpec> generation{};  ///< of task `text-generation`
  std::vector<Tolerance> tolerances;
  std::vector<GoldenSample> golden;
  std::vector<PackagedFile> files;
  std::string provenance_json;  ///< an object, kept as text: how the model came to be

  /// Null when there is no method of that name.
  [[nodiscard]] PORTFIRE_EXPORT const MethodSpec* method(std::string_view method_name) const noexcept;
  /// Zero tolerance for a dtype that has no row.
  [[nodiscard]] PORTFIRE_EXPORT Tolerance tolerance(DType dtype) const noexcept;
  bool operator==(const Manifest&) const = default;
};

}  // namespace portfire
