#include "engine/torchscript/arguments.h"

#include <ATen/core/jit_type.h>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/libtorch/convert.h"

namespace portfire::torchscript {
namespace {

/// What an Optional holds, else the type itself.
const c10::Type& plain(const c10::Type& type) {
  const auto* const optional = type.castRaw<c10::OptionalType>();
  return optional == nullptr ? type : *optional->getElementType();
}

}  // namespace

c10::IValue argument_of(const c10::Argument& argument, const Tensor& input, const std::string& context) {
  const c10::TypeKind kind = plain(*argument.type()).kind();
  if (kind == c10::TypeKind::TensorType || kind == c10::TypeKind::AnyType) return libtorch::to_torch(input);
  const bool number = input.rank() == 0;
  const bool whole = !is_floating_point(input.dtype()) && input.dtype() != DType::kBool;
  if (number && kind == c10::TypeKind::IntType && whole) return libtorch::to_torch(input).item().toLong();
  if (number && kind == c10::TypeKind::BoolType && input.dtype() == DType::kBool) return libtorch::to_torch(input).item().toBool();
  if (number && kind == c10::TypeKind::FloatType && input.dtype() != DType::kBool) return libtorch::to_torch(input).item().toDouble();
  if (number && kind == c10::TypeKind::NumberType) return libtorch::to_torch(input).item();
  throw Error(ErrorCode::kInvalidInput, cat(context, ": ", argument.name(), ": ", input.to_string(0), " was given; ",
                                            argument.type()->annotation_str(), " is taken"));
}

}  // namespace portfire::torchscript
