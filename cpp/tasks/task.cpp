#include "tasks/task.h"

#include <algorithm>

#include <portfire/error.h>

#include "core/text.h"
#include "tasks/image_classification.h"
#include "tasks/tensor.h"
#include "tasks/text_classification.h"
#include "tasks/text_generation.h"

namespace portfire {

std::vector<Outcome> Task::run_each(const Engine&, std::span<const Input>, const RunOptions&) const { throw Error(ErrorCode::kInternal, "this task does not loop"); }

std::vector<NamedTensor> Task::trace(const Engine&, const Input&) const { throw Error(ErrorCode::kInternal, "this task does not loop"); }

std::unique_ptr<Task> make_task(const std::optional<Manifest>& manifest, const AssetReader& asset, std::int64_t max_pixels) {
  if (!manifest || manifest->task == "tensor") return make_tensor_task();
  if (manifest->task == "image-classification") {
    const std::int64_t own = manifest->raw_input.max_pixels;
    return make_image_classification(*manifest, max_pixels > 0 ? std::min(max_pixels, own) : own);
  }
  if (manifest->task == "text-generation") return make_text_generation(*manifest, asset);
  if (manifest->task == "text-classification") return make_text_classification(*manifest, asset);
  throw Error(ErrorCode::kUnsupported, cat(manifest->name, ": task ", quoted(manifest->task),
                                           "; this runtime has image-classification, text-classification, text-generation and tensor"));
}

}  // namespace portfire
