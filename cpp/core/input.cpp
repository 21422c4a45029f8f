#include <portfire/input.h>

#include <portfire/error.h>

#include "core/file.h"
#include "core/text.h"

namespace portfire {

Input Input::file(std::string path) { return {Kind::kFile, std::move(path)}; }

Input Input::bytes(std::span<const std::byte> bytes, std::string name) {
  Input input(Kind::kBytes, std::move(name));
  input.bytes_.assign(bytes.begin(), bytes.end());
  return input;
}

Input Input::text(std::string_view text, std::string name) { return bytes(std::as_bytes(std::span(text.data(), text.size())), std::move(name)); }

Input Input::tensors(std::vector<NamedTensor> tensors, std::string name) {
  Input input(Kind::kTensors, std::move(name));
  input.tensors_ = std::move(tensors);
  return input;
}

Input Input::tensor(Tensor tensor, std::string name) {
  return tensors({{.name = "", .tensor = std::move(tensor)}}, std::move(name));
}

std::vector<std::byte> Input::read() const {
  switch (kind_) {
    case Kind::kFile: return read_file(name_);
    case Kind::kBytes: return bytes_;
    case Kind::kTensors: break;
  }
  throw Error(ErrorCode::kInvalidArgument, cat(name_, ": holds tensors, not bytes"));
}

}  // namespace portfire
