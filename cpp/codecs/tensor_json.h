#pragma once

#include <cstddef>
#include <string>

#include <portfire/tensor.h>

namespace portfire {

/// One element as JSON: a number that reads back as the same one, true or false; null for NaN and infinities, which JSON lacks.
void append_json_element(std::string& out, DType dtype, const std::byte* at);

/// All elements of a contiguous CPU tensor, with `separator` between them and no brackets.
void append_json_elements(std::string& out, const Tensor& tensor, const char* separator);

}  // namespace portfire
