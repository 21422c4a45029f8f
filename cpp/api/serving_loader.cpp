#include "api/serving_loader.h"

#include <memory>
#include <utility>

#include "api/model_impl.h"

namespace portfire {

serving::Loader serving_loader(LoadOptions options) {
  return [options = std::move(options)](const std::string& path) {
    const auto model = std::make_shared<const Model>(Model::load(path, options));
    const auto& impl = ModelInternals::of(*model);
    return serving::Loaded{.owner = model, .info = &impl.info, .engine = impl.engine.get(), .pipeline = &*impl.pipeline,
                           .text = dynamic_cast<const TextGeneration*>(impl.task.get()),
                           .statistics = impl.statistics ? &*impl.statistics : nullptr};
  };
}

}  // namespace portfire
