#pragma once

#include <memory>

#include "tasks/task.h"

namespace portfire {

/// A text to its most likely classes. `preprocess` takes int64 [L], the token ids; `postprocess` gives float32 [C], the
/// probability of each label. Throws kInvalidPackage where the tokenizer has ids that `preprocess` does not take.
std::unique_ptr<Task> make_text_classification(const Manifest& manifest, const AssetReader& asset);

}  // namespace portfire
