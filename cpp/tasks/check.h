#pragma once

#include <span>
#include <string>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

namespace portfire {

/// Holds inputs against a method's signature: number, dtype, rank, fixed sizes, symbols bound to one size
/// throughout the call, and every element's range where one is declared. `model` names the model in
/// errors. Throws kInvalidInput.
void check_inputs(const MethodSpec& method, std::span<const Tensor> inputs, const std::string& model);

/// Puts named tensors in the order of `names`; an empty name stands for its place. Throws kInvalidInput on
/// a name that is not there, twice there, or missing.
std::vector<Tensor> in_order(const std::vector<std::string>& names, const std::vector<NamedTensor>& inputs,
                             const std::string& model);

}  // namespace portfire
