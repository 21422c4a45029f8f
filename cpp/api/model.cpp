#include <portfire/model.h>

#include <atomic>
#include <memory>
#include <utility>

#include <portfire/codecs.h>

#include "api/fallback.h"
#include "api/model_impl.h"
#include "api/profile.h"
#include "api/sample_inputs.h"
#include "api/signature.h"
#include "api/text_stream.h"
#include "api/trust.h"
#include "archive/package.h"
#include "core/text.h"
#include "engine/compiled/compiled.h"
#include "engine/graph/graph.h"
#include "engine/torchscript/torchscript.h"
#include "tasks/pipeline.h"
#include "tasks/task.h"
#include "tasks/verify.h"

namespace portfire {
namespace {

constexpr int kMostThreads = 1024;
constexpr std::string_view kTorchScript = "torchscript";
constexpr std::string_view kGraph = "graph";
constexpr std::string_view kCompiled = "compiled";
constexpr const char* kAsked = "asked for";
constexpr const char* kByRule = "the first of the version's files that holds; see portfire tune";

void check_options(const LoadOptions& options) {
  if (options.engine != "auto" && options.engine != kTorchScript && options.engine != kGraph && options.engine != kCompiled) {
    throw Error(ErrorCode::kInvalidArgument, cat("unknown engine ", quoted(options.engine), "; one of auto, torchscript, graph, compiled"));
  }
  if (options.threads < 0 || options.threads > kMostThreads) {
    throw Error(ErrorCode::kInvalidArgument, cat("threads is ", options.threads, "; 0 (this machine's budget) or 1 to ", kMostThreads));
  }
  if (!(options.max_error >= 0)) {
    throw Error(ErrorCode::kInvalidArgument, cat("max_error is ", options.max_error, "; 0 (the package's tolerance) or more"));
  }
  if (options.max_pixels < 0) {
    throw Error(ErrorCode::kInvalidArgument, cat("max_pixels is ", options.max_pixels, "; 0 (the package's limit) or more"));
  }
}

/// What is tried, the furthest first. docs/adr/0005 says why auto does not begin at full.
std::vector<Optimization> levels_of(Optimization asked, std::string_view engine) {
  if (engine != kTorchScript && asked == Optimization::kAuto) asked = Optimization::kFull;
  if (engine == kCompiled) return {asked};  // of the other methods; the code is as it is
  switch (asked) {
    case Optimization::kNone: return {Optimization::kNone};
    case Optimization::kFull: return {Optimization::kFull, Optimization::kFreeze, Optimization::kNone};
    default: return {Optimization::kFreeze, Optimization::kNone};
  }
}

/// One way to run a file's program.
struct Attempt {
  Optimization level = Optimization::kNone;
  Precision precision = Precision::kPackaged;
};

/// What is tried, the fastest first.
std::vector<Attempt> attempts_of(const LoadOptions& options, std::string_view engine) {
  const bool may_reduce = options.precision == Precision::kFastest && engine == kGraph && graph::computes_in_bfloat16(options.device);
  const Precision asked = options.precision == Precision::kFastest ? Precision::kPackaged : options.precision;
  std::vector<Attempt> attempts;
  if (may_reduce) attempts.push_back({levels_of(options.optimization, engine).front(), Precision::kBFloat16});
  for (const Optimization level : levels_of(options.optimization, engine)) attempts.push_back({level, asked});
  return attempts;
}

std::string name_of(const Attempt& attempt) {
  return attempt.precision == Precision::kPackaged ? std::string(name_of(attempt.level)) : cat(name_of(attempt.level), " in ", name_of(attempt.precision));
}

/// The engine that runs what the file holds. Throws kUnsupported where another one was asked for.
std::string_view engine_for(const Package& package, const std::string& asked) {
  const bool exported = graph::is_exported(package.archive);
  if (exported && asked == kCompiled && compiled::is_compiled(package.archive)) return kCompiled;
  const std::string_view engine = exported ? kGraph : kTorchScript;
  if (asked != "auto" && asked != engine) {
    throw Error(ErrorCode::kUnsupported, cat(package.archive.path(), ": holds a ", engine == kGraph ? "torch.export" : "TorchScript",
                                             " program, which the engine ", asked, " does not run; use auto or ", engine));
  }
  return engine;
}

/// What `path` stands for, the file of another engine left out where one was asked for.
std::vector<std::string> files_for(const std::string& path, const std::string& engine) {
  std::vector<std::string> files = package_files(path);
  if (files.size() > 1 && engine != "auto") {
    std::erase_if(files, [&](const std::string& file) { return file.ends_with(".pt2") != (engine != kTorchScript); });
  }
  return files;
}

LoadedEngine load_engine(std::string_view engine, const Package& package, const EngineOptions& options) {
  if (engine != kGraph && options.precision != Precision::kPackaged) {
    throw Error(ErrorCode::kUnsupported, cat(package.archive.path(), ": the engine ", engine, " computes in the dtypes that its program has; ",
                                             name_of(options.precision), " needs the engine graph and a model.pt2"));
  }
  if (engine == kCompiled) return compiled::load(package.archive, package.manifest, options);
  return engine == kGraph ? graph::load(package.archive, options) : torchscript::load(package.archive, options);
}

/// Before anything of the file's machine code is loaded.
void require_trust(const Package& package, const LoadOptions& options) {
  const std::string reason = why_not_trusted(package.archive, options);
  if (!reason.empty()) throw Error(ErrorCode::kUntrustedPackage, cat(package.archive.path(), ": ", reason));
}

ModelInfo describe(const Package& package, std::string_view engine, ProgramInfo program) {
  ModelInfo info;
  info.path = package.archive.path();
  info.file_bytes = static_cast<std::int64_t>(package.archive.file_bytes());
  info.manifest = package.manifest;
  info.task = package.manifest ? package.manifest->task : "tensor";
  info.engine = engine;
  if (engine != kTorchScript) info.compiled_for = compiled::targets(package.archive);
  info.engine_version = cat("LibTorch ", torch_version());
  info.methods = std::move(program.methods);
  const MethodSpec* forward = package.manifest ? package.manifest->method("forward") : nullptr;
  info.signature = forward != nullptr ? std::optional(*forward) : std::move(program.forward);
  info.parameters = program.parameters;
  info.parameter_bytes = program.parameter_bytes;
  return info;
}

void require_methods(const Package& package, const Engine& engine) {
  if (!package.manifest) return;
  for (const MethodSpec& method : package.manifest->methods) {
    if (!engine.has_method(method.name)) {
      throw Error(ErrorCode::kInvalidPackage, cat(package.archive.path(), ": its manifest names the method ", method.name,
                                                  ", which its program does not have"));
    }
  }
}

}  // namespace

Model Model::load(const std::string& path, const LoadOptions& options) {
  check_options(options);
  const std::vector<std::string> files = files_for(path, options.engine);
  std::string history;  // why what was tried before was not good enough
  std::string choice;
  const auto opened = [&](std::unique_ptr<Impl> impl) {
    impl->info.source = path;
    return Model(impl.release());
  };
  if (const std::optional<LoadOptions> best = tuned(files, options, choice)) {
    try {
      return opened(Impl::load(files_for(path, best->engine).front(), *best, history, choice));
    } catch (const Error& error) {  // a profile is advice: what follows does without it
      history += cat("; ", error.what());
    }
  }
  for (const std::string& file : files) {
    try {
      return opened(Impl::load(file, options, history, options.engine == "auto" ? kByRule : kAsked));
    } catch (const Error& error) {
      if (file == files.back() || !may_be_passed_over(error)) throw Error(error.code(), cat(error.what(), history));
      history += cat("; ", error.what());
    }
  }
  throw Error(ErrorCode::kInternal, cat(path, ": nothing was tried"));
}

std::unique_ptr<Model::Impl> Model::Impl::load(const std::string& file, const LoadOptions& options, std::string history,
                                               const std::string& choice) {
  Package package = open_package(file, options.map_file ? Opening::kMapped : Opening::kInParts);
  const std::string_view kind = engine_for(package, options.engine);
  // What is trusted, and code that LibTorch reads once more, must be the bytes that were checked.
  if (kind == kCompiled) package = open_package(file);
  if (kind == kTorchScript && options.map_file) package = open_package(file, Opening::kInParts);
  auto impl = std::make_unique<Impl>();
  const AssetReader asset = [&package](const std::string& name) { return package.file(name); };
  impl->task = make_task(package.manifest, asset, options.max_pixels);
  impl->golden_task = options.max_pixels == 0 ? impl->task : make_task(package.manifest, asset, 0);
  impl->golden = read_golden(package);
  impl->statistics = read_input_statistics(package);
  EngineOptions engine{.device = options.device, .optimization = Optimization::kNone,
                       .threads = options.threads > 0 ? options.threads : cpu_budget(),
                       .allow_ops = options.allow_ops, .skip_passes = options.skip_passes};
  if (kind == kGraph) {
    for (const std::string& pass : options.skip_passes) history += cat("; without ", pass);
  }
  if (kind == kCompiled) require_trust(package, options);
  const std::vector<Attempt> attempts = attempts_of(options, kind);
  for (std::size_t k = 0; k < attempts.size(); ++k) {
    const bool last = k + 1 == attempts.size();
    const Attempt& attempt = attempts[k];
    engine.optimization = attempt.level;
    engine.precision = attempt.precision;
    LoadedEngine loaded = load_engine(kind, package, engine);
    if (loaded.applied != attempt.level && !last) {
      history += cat("; ", name_of(attempt), " failed: ", loaded.reason);
      continue;
    }
    package.archive.check_left();  // what the program does not use
    require_methods(package, *loaded.engine);
    impl->info = describe(package, kind, std::move(loaded.program));
    impl->info.device = options.device;
    impl->info.threads = engine.threads;
    impl->info.optimization = cat(name_of(attempt.level), history);
    impl->info.precision = name_of(attempt.precision);
    impl->info.choice = choice;
    impl->max_error = attempt.precision == Precision::kPackaged ? 0 : options.max_error;
    impl->use(std::move(loaded));
    const VerifyReport report = impl->report();  // also warms the model up
    if (report.stages.empty()) impl->warm_up();
    const bool proven = report.passed() || (report.stages.empty() && attempt.precision == Precision::kPackaged);
    if (proven || (last && !options.check_golden)) return impl;
    history += cat("; ", name_of(attempt), " failed: ", report.summary());
    if (last) {
      const std::string reduced = attempt.precision == Precision::kPackaged ? "" : cat("in ", name_of(attempt.precision), ": ");
      throw Error(ErrorCode::kVerificationFailed, cat(package.archive.path(), ": ", reduced, report.summary()));
    }
  }
  throw Error(ErrorCode::kInternal, cat(package.archive.path(), ": nothing was tried"));
}

Model::~Model() {
  if (impl_ != nullptr && impl_->shares.fetch_sub(1, std::memory_order_acq_rel) == 1) delete impl_;
}

Model::Model(const Model& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->shares.fetch_add(1, std::memory_order_relaxed);
}

Model::Model(Model&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}

Model& Model::operator=(const Model& other) noexcept { return *this = Model(other); }

Model& Model::operator=(Model&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Answer Model::run(const Input& input, const RunOptions& options) const {
  return std::move(run(std::span(&input, 1), options).front());
}

std::vector<Answer> Model::run(std::span<const Input> inputs, const RunOptions& options) const {
  std::vector<Answer> answers;
  answers.reserve(inputs.size());
  for (Outcome& outcome : run_each(inputs, options)) {
    if (const Error* error = std::get_if<Error>(&outcome)) throw *error;
    answers.push_back(std::move(std::get<Answer>(outcome)));
  }
  return answers;
}

std::vector<Outcome> Model::run_each(std::span<const Input> inputs, const RunOptions& options) const {
  return impl_->pipeline->run_each(inputs, options);
}

std::vector<Tensor> Model::forward(std::span<const Tensor> inputs) const { return impl_->pipeline->forward(inputs); }

Tensor Model::forward(const Tensor& input) const {
  std::vector<Tensor> outputs = forward(std::span(&input, 1));
  if (outputs.empty()) throw Error(ErrorCode::kInvalidPackage, cat(impl_->info.path, ": forward gave nothing"));
  return std::move(outputs.front());
}

std::vector<NamedTensor> Model::forward_named(const std::vector<NamedTensor>& inputs) const {
  return impl_->pipeline->forward_named(inputs);
}

Tensor Model::image_tensor(const Input& image, const ImageTensorOptions& options) const {
  return impl_->engine->image_tensor(decode_image(image.read(), image.name()), options);
}

TextStream Model::stream(const Input& prompt, const GenerateOptions& options) const {
  const TextGeneration& task = impl_->text_generation();
  require_one_text(options);
  return TextStream(std::make_unique<OwnText>(*this, Generator(*impl_->engine, *impl_->info.manifest, task.start(prompt, options))));
}

VerifyReport Model::verify() const { return impl_->report(); }

const ModelInfo& Model::info() const noexcept { return impl_->info; }

ModelInfo inspect(const std::string& path, const LoadOptions& options) {
  check_options(options);
  std::string choice = options.engine == "auto" ? kByRule : kAsked;
  const std::optional<LoadOptions> best = tuned(files_for(path, options.engine), options, choice);
  const std::string& asked = best ? best->engine : options.engine;
  const std::vector<std::string> files = files_for(path, asked);
  for (const std::string& file : files) {
    const Package package = open_package(file, Opening::kInParts);
    try {
      const std::string_view engine = engine_for(package, asked);
      ModelInfo info = describe(package, engine, engine == kTorchScript ? torchscript::describe(package.archive, options.allow_ops)
                                                                       : graph::describe(package.archive, options.allow_ops));
      package.archive.check_left();
      info.device = options.device;
      info.source = path;
      info.choice = choice;
      return info;
    } catch (const Error& error) {
      if (file == files.back() || !may_be_passed_over(error)) throw;
    }
  }
  throw Error(ErrorCode::kInternal, cat(path, ": nothing was looked at"));
}

std::string plan_text(const std::string& path, const LoadOptions& options) {
  check_options(options);
  const Package package = open_package(files_for(path, std::string(kGraph)).front(), Opening::kInParts);
  (void)engine_for(package, std::string(kGraph));
  return graph::plan_text(package.archive, {.device = options.device, .optimization = levels_of(options.optimization, kGraph).front(),
                                            .threads = 1, .allow_ops = options.allow_ops, .skip_passes = options.skip_passes});
}

std::vector<std::string> engines(const std::string& path, const LoadOptions& options) {
  check_options(options);
  std::vector<std::string> names;
  for (const std::string& file : files_for(path, options.engine)) {
    const Package package = open_package(file);
    names.emplace_back(engine_for(package, options.engine));
    const bool has_code = options.engine == "auto" && names.back() == kGraph && compiled::is_compiled(package.archive);
    const std::string reason = has_code ? why_not_trusted(package.archive, options) : "";
    if (!reason.empty() && !options.trusted_keys.empty()) throw Error(ErrorCode::kUntrustedPackage, cat(file, ": ", reason));
    if (has_code && reason.empty()) names.emplace_back(kCompiled);
  }
  return names;
}

}  // namespace portfire
