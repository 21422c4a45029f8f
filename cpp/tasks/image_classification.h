#pragma once

#include <memory>

#include "tasks/task.h"

namespace portfire {

/// A picture to its most likely classes. `postprocess` gives float32 [C], the probability of each label.
std::unique_ptr<Task> make_image_classification(const Manifest& manifest, std::int64_t max_pixels);

}  // namespace portfire
