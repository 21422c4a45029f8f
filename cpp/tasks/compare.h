#pragma once

#include <string>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

namespace portfire {

/// How far two tensors lie apart.
struct Difference {
  double max_abs = 0;
  double max_rel = 0;   ///< over elements whose expected value is not 0
  bool within = true;
  std::string problem;  ///< empty when within
};

/// |actual - expected| <= atol + rtol * |expected| for every element; NaN equals NaN, and infinities must
/// be the same. Another dtype or shape is a problem of its own. CPU tensors.
Difference compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance);

}  // namespace portfire
