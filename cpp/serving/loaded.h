#pragma once

#include <functional>
#include <memory>
#include <string>

#include <portfire/model.h>

#include "core/engine.h"
#include "core/input_statistics.h"
#include "tasks/pipeline.h"
#include "tasks/text_generation.h"

namespace portfire::serving {

/// A model that is ready to run. What it points to lives as long as `owner`.
struct Loaded {
  std::shared_ptr<const void> owner;
  const ModelInfo* info = nullptr;
  const Engine* engine = nullptr;
  const Pipeline* pipeline = nullptr;
  const TextGeneration* text = nullptr;  ///< null where the task is another
  const InputStatistics* statistics = nullptr;  ///< null where the package has none
};

/// Opens, checks, verifies and warms the model of a `<name>/<version>` folder or a package file, on the calling thread. Throws
/// as `Model::load`.
using Loader = std::function<Loaded(const std::string& path)>;

}  // namespace portfire::serving
