#pragma once

#include <cstdint>
#include <vector>

#include <portfire/model.h>

namespace portfire {

/// What `forward` is measured on: `given` in the order of its signature, or where that is empty seeded values within
/// the declared shapes and ranges, `batch` samples of them. Throws kInvalidArgument where a size is not known.
std::vector<Tensor> sample_inputs(const ModelInfo& info, const std::vector<NamedTensor>& given, std::int64_t batch);

/// The same of the smallest sizes that the signature allows. Throws kResourceExhausted where these are large: a file may
/// declare what it likes.
std::vector<Tensor> smallest_inputs(const MethodSpec& signature);

}  // namespace portfire
