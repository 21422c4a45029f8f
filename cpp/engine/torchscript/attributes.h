#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>

namespace portfire::torchscript {

/// Holds the value of every attribute, of the module and of all objects within, against the type that its
/// class declares. LibTorch fills objects from the file without a look, and code that was compiled for one
/// class then reads beyond an object of a smaller one. Throws kUntrustedPackage; `name` is the model's.
void check_attributes(const torch::jit::Module& module, const std::string& name);

/// The same for a constant of the program.
void check_constant(const c10::IValue& value, const c10::TypePtr& type, const std::string& name);

/// True where code may take a value of type `from` for one of type `to` unasked (`prim::unchecked_cast`): where
/// every use of the value looks at what it really is, or only None can be hidden in it.
bool is_safe_cast(const c10::TypePtr& from, const c10::TypePtr& to);

}  // namespace portfire::torchscript
