#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <portfire/answer.h>
#include <portfire/error.h>
#include <portfire/export.h>
#include <portfire/generate.h>
#include <portfire/input.h>
#include <portfire/manifest.h>
#include <portfire/tensor.h>

namespace portfire {

/// How far an engine rewrites the graph at load. Each is used only where the golden samples still hold.
enum class Optimization : std::uint8_t {
  kAuto,    ///< what is fastest as a rule and holds: kFull in the engine graph, kFreeze in torchscript; else less
  kNone,    ///< as the file has it
  kFreeze,  ///< parameters become constants, batch norms are folded
  kFull,    ///< and layouts and fused operators are chosen for this machine
};

/// In which dtype an engine computes.
enum class Precision : std::uint8_t {
  kPackaged,  ///< as the package has it
  kBFloat16,  ///< what is float32 in bfloat16, between inputs and outputs as they are; engine graph only
  kInt8,      ///< weights of linear layers in 8 bits, and what meets them where the processor multiplies bytes; engine graph, CPU
  kFastest,   ///< kBFloat16 where this processor computes in it and the golden samples hold, else kPackaged
};

/// "auto", "none", "freeze", "full"
PORTFIRE_EXPORT std::string_view name_of(Optimization optimization) noexcept;
/// Throws kInvalidArgument.
PORTFIRE_EXPORT Optimization optimization_from_name(std::string_view name);
/// "packaged", "bfloat16", "int8", "fastest"
PORTFIRE_EXPORT std::string_view name_of(Precision precision) noexcept;
/// Throws kInvalidArgument.
PORTFIRE_EXPORT Precision precision_from_name(std::string_view name);

struct LoadOptions {
  Device device{};
  std::string engine = "auto";  ///< "auto", "torchscript" (model.pt), "graph" or "compiled" (model.pt2)
  Optimization optimization = Optimization::kAuto;
  Precision precision = Precision::kPackaged;
  double max_error = 0;                ///< absolute and relative, of floating outputs in another precision than the
                                       ///< package's; 0 keeps the package's tolerance
  int threads = 0;                     ///< for one operator; 0 is what `tune` found, else `cpu_budget()`
  std::vector<std::string> allow_ops{}; ///< operators to allow beyond the list, by full name
  bool trust_compiled = false;         ///< machine code in a package may be loaded, which then can do what this process can
  std::vector<std::string> trusted_keys{};  ///< public keys of minisign, as files or lines; what one of them signed in
                                            ///< `<file>.minisig` is trusted as with `trust_compiled`
  std::int64_t max_pixels = 0;         ///< tighter than the manifest's limit; 0 keeps the manifest's
  bool map_file = false;               ///< weights of a `model.pt2` are used where the file has them, which loads faster and
                                       ///< shares them with other processes; replace such a file by renaming: cutting
                                       ///< it short while it is in use ends the process, writing to it changes the model
  std::vector<std::string> skip_passes{};  ///< of the engine graph, by the names in docs/engines.md: to find the one that is wrong
  bool check_golden = true;            ///< refuse to load where the golden samples do not hold; `verify` is for looking
  bool use_profile = true;             ///< what `tune` found on this machine decides where `engine` and `optimization` are auto
};

struct RunOptions {
  int top_k = 5;  ///< classification: how many classes an answer names
  GenerateOptions generate{};  ///< text-generation
  /// text-generation: asked between two steps, on the thread that called; true ends all texts there, as "cancelled".
  std::function<bool()> cancelled{};
};

/// How pixels become a tensor where no manifest says so (task `tensor` only).
struct ImageTensorOptions {
  std::int64_t height = 0;  ///< 0 keeps the picture's size
  std::int64_t width = 0;
  int channels = 3;                        ///< 3, or 1 for luminance (ITU-R BT.601, as Pillow's "L")
  double scale = 1.0 / 255;                ///< multiplied first
  std::vector<double> mean{}, deviation{};  ///< then (x - mean) / deviation; empty, one, or one a channel
};

/// One argument of a method as the engine sees it.
struct ArgumentInfo {
  std::string name;
  std::string type;  ///< "Tensor", "Optional[Tensor]", "int"
};

struct MethodInfo {
  std::string name;
  std::vector<ArgumentInfo> arguments;
  std::string returns;
  std::vector<std::string> operators;  ///< sorted, each once: "aten::conv2d"
};

/// What is in a file, learnt without running it.
struct PORTFIRE_EXPORT ModelInfo {
  std::string path;                  ///< the package file that was opened
  std::string source;                ///< what was asked for: that file or a folder
  std::int64_t file_bytes = 0;
  std::optional<Manifest> manifest;  ///< none for programs from elsewhere
  std::string task;                  ///< the manifest's, else "tensor"
  std::string engine;
  std::string compiled_for;          ///< what machine code the file holds is for; empty where there is none
  std::string engine_version;        ///< "LibTorch 2.13.0"
  Device device;
  int threads = 0;
  std::string optimization;          ///< "full", and why; empty when the model was only inspected
  std::string precision;             ///< "packaged", "bfloat16" or "int8"; empty when the model was only inspected
  std::string choice;                ///< why this engine: "the fastest here: portfire tune, 2026-11-21"
  std::vector<MethodInfo> methods;
  std::optional<MethodSpec> signature;  ///< of `forward`: the manifest's, else the program's where it has one
  std::int64_t parameters = 0;       ///< elements
  std::int64_t parameter_bytes = 0;
  /// One JSON object on one line.
  [[nodiscard]] std::string to_json() const;
};

/// How one stage of one golden sample came out.
struct StageResult {
  std::int64_t sample = 0;
  std::string stage;   ///< "forward"
  std::string output;  ///< "logits"
  double max_abs_error = 0;
  double max_rel_error = 0;
  Tolerance tolerance;
  bool passed = false;
  std::string problem;  ///< empty when passed
};

struct PORTFIRE_EXPORT VerifyReport {
  std::string engine;
  Device device;
  std::string optimization;
  std::string precision;
  std::vector<StageResult> stages;

  [[nodiscard]] bool passed() const noexcept;
  /// One line: the first stage that failed and by how much, or how far below the tolerance all are.
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] std::string to_json() const;
};

/// What came of one of many inputs.
using Outcome = std::variant<Answer, Error>;

class TextStream;

/// A loaded model. A handle: copies share one model. Immutable and thread-safe; every `const` call may
/// run on any number of threads at once.
class PORTFIRE_EXPORT Model {
 public:
  /// Opens, checks, optimises and warms up. `path` is a package, a TorchScript or torch.export file, a `<name>`
  /// folder (its highest version) or a `<name>/<version>` folder. A folder may hold `model.pt2` and `model.pt`: the
  /// second is used where the first needs what is not here or its golden samples do not hold. Throws kNotFound, kIo, kInvalidPackage,
  /// kVersionMismatch, kUntrustedPackage, kUnsupported, kVerificationFailed.
  static Model load(const std::string& path, const LoadOptions& options = {});

  ~Model();
  Model(const Model& other) noexcept;
  Model(Model&& other) noexcept;
  Model& operator=(const Model& other) noexcept;
  Model& operator=(Model&& other) noexcept;

  /// From a raw input to its answer. Throws kInvalidInput, kNotFound, kIo.
  [[nodiscard]] Answer run(const Input& input, const RunOptions& options = {}) const;
  /// The same for many, through `forward` in batches. Throws the first input's error.
  [[nodiscard]] std::vector<Answer> run(std::span<const Input> inputs, const RunOptions& options = {}) const;
  /// The same, but one bad input does not spoil the others: outcome k belongs to input k.
  [[nodiscard]] std::vector<Outcome> run_each(std::span<const Input> inputs, const RunOptions& options = {}) const;

  /// The bare call: `forward`'s inputs in the order of its signature, checked against the manifest.
  /// The outputs lie on the model's device. Throws kInvalidInput.
  [[nodiscard]] std::vector<Tensor> forward(std::span<const Tensor> inputs) const;
  [[nodiscard]] Tensor forward(const Tensor& input) const;  ///< the first output
  /// `forward`'s outputs with their names.
  [[nodiscard]] std::vector<NamedTensor> forward_named(const std::vector<NamedTensor>& inputs) const;

  /// Task text-generation: `run` with what has become certain of the text given to `on_text` as it comes, which ends it
  /// by giving false. `options.num_sequences` is 1. Throws kInvalidArgument where the model has another task.
  Generation generate(const Input& prompt, const GenerateOptions& options, const std::function<bool(std::string_view)>& on_text) const;
  /// The same for who asks for the text part by part.
  [[nodiscard]] TextStream stream(const Input& prompt, const GenerateOptions& options = {}) const;

  /// A picture as `forward` may take it, float32 [1, C, H, W]; for TorchScript without a manifest.
  [[nodiscard]] Tensor image_tensor(const Input& image, const ImageTensorOptions& options) const;

  /// Replays the golden samples from raw bytes to answer on this machine, device and engine.
  [[nodiscard]] VerifyReport verify() const;

  [[nodiscard]] const ModelInfo& info() const noexcept;

 private:
  friend class TextBatcher;
  friend struct ModelInternals;
  struct Impl;
  explicit Model(Impl* impl) noexcept : impl_(impl) {}
  Impl* impl_;  // counted
};

/// A text that is being written: by itself only while `next` runs, or with others by a TextBatcher. One thread at a time,
/// but for `cancel`; shares its model.
class PORTFIRE_EXPORT TextStream {
 public:
  struct Impl;
  explicit TextStream(std::unique_ptr<Impl> impl) noexcept;  ///< for Model and TextBatcher
  ~TextStream();
  TextStream(TextStream&& other) noexcept;
  TextStream& operator=(TextStream&& other) noexcept;

  /// What has become certain of the text since the last call, not empty; nothing at its end. Throws what `forward` throws.
  [[nodiscard]] std::optional<std::string> next();
  /// Ends the text here and frees what it takes, after the step that runs; does not wait for it. From any thread.
  void cancel();
  /// What has been written so far; its `finish_reason` is empty while it goes on.
  [[nodiscard]] GeneratedText result() const;

 private:
  std::unique_ptr<Impl> impl_;
};

/// What a file takes, gives and weighs. Runs no model code. Throws as `Model::load`.
PORTFIRE_EXPORT ModelInfo inspect(const std::string& path, const LoadOptions& options = {});

/// The engines that run what `path` stands for and that `options.engine` allows; "auto" tries them in this order.
/// Throws as `Model::load`.
PORTFIRE_EXPORT std::vector<std::string> engines(const std::string& path, const LoadOptions& options = {});

/// What the engine graph would call, step by step, after the passes of `options.optimization`: for people. Runs only
/// what the passes compute beforehand, which depends on no input. Throws as `Model::load`; kUnsupported where there is no program for that engine.
PORTFIRE_EXPORT std::string plan_text(const std::string& path, const LoadOptions& options = {});

/// The package file that `path` stands for, the one that is tried first (see `Model::load`). Throws kNotFound.
PORTFIRE_EXPORT std::string resolve_package(const std::string& path);

/// The processors that this process may really use: the smaller of its affinity and its cgroup's quota,
/// at least 1. Thread-safe.
PORTFIRE_EXPORT int cpu_budget();

/// "0.1.0"
PORTFIRE_EXPORT std::string_view version() noexcept;
/// Of the LibTorch that this library was built against: "2.13.0".
PORTFIRE_EXPORT std::string_view torch_version() noexcept;
/// True when a CUDA device answers.
PORTFIRE_EXPORT bool cuda_available();

}  // namespace portfire
