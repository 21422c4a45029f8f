#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <portfire/model.h>

#include "api/sample_inputs.h"
#include "api/signature.h"
#include "archive/input_statistics.h"
#include "archive/package.h"
#include "core/engine.h"
#include "core/text.h"
#include "engine/loaded_engine.h"
#include "tasks/pipeline.h"
#include "tasks/task.h"
#include "tasks/text_generation.h"
#include "tasks/verify.h"

namespace portfire {

struct Model::Impl {
  std::atomic<int> shares{1};
  ModelInfo info;
  std::shared_ptr<const Task> task;
  std::shared_ptr<const Task> golden_task;  // without the caller's tighter limits
  std::unique_ptr<Engine> engine;
  std::vector<GoldenBytes> golden;
  std::optional<Pipeline> pipeline;         // these refer to
  std::optional<Pipeline> golden_pipeline;  // the ones above

  std::optional<InputStatistics> statistics;  // of the samples that it was made with
  double max_error = 0;

  std::vector<StageResult> replay() const {
    if (!info.manifest) return {};
    return replay_golden(*info.manifest, golden, *golden_pipeline, max_error);
  }

  void use(LoadedEngine loaded) {
    engine = std::move(loaded.engine);
    const Manifest* manifest = info.manifest ? &*info.manifest : nullptr;
    const std::string& name = manifest != nullptr ? manifest->name : info.path;
    const MethodSpec* signature = info.signature ? &*info.signature : nullptr;
    pipeline.emplace(*engine, *task, manifest, signature, forward_inputs(info), name);
    golden_pipeline.emplace(*engine, *golden_task, manifest, signature, forward_inputs(info), name);
  }

  /// `history` is why other ways to run the version would not do, `choice` why this engine is tried.
  static std::unique_ptr<Impl> load(const std::string& file, const LoadOptions& options, std::string history, const std::string& choice);

  /// One call, so that weights are packed before the first that counts. Without golden samples nobody says that the
  /// program takes these inputs, so an error is none.
  void warm_up() const {
    if (info.engine != "graph" || !info.signature) return;
    try {
      (void)pipeline->forward(smallest_inputs(*info.signature));
    } catch (const Error&) {
    }
  }

  /// Throws kInvalidArgument where the task is another.
  const TextGeneration& text_generation() const {
    const auto* found = dynamic_cast<const TextGeneration*>(task.get());
    if (found == nullptr) throw Error(ErrorCode::kInvalidArgument, cat(info.path, ": the task is ", info.task, "; text-generation writes texts"));
    return *found;
  }

  VerifyReport report() const { return {info.engine, info.device, info.optimization, info.precision, replay()}; }
};

/// For what is built on a model's parts.
struct ModelInternals {
  static const Model::Impl& of(const Model& model) { return *model.impl_; }
};

}  // namespace portfire
