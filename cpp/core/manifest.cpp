#include <portfire/manifest.h>

namespace portfire {

const MethodSpec* Manifest::method(std::string_view method_name) const noexcept {
  for (const MethodSpec& spec : methods) {
    if (spec.name == method_name) return &spec;
  }
  return nullptr;
}

Tolerance Manifest::tolerance(DType dtype) const noexcept {
  for (const Tolerance& row : tolerances) {
    if (row.dtype == dtype) return row;
  }
  return {.dtype = dtype, .atol = 0, .rtol = 0};
}

}  // namespace portfire
