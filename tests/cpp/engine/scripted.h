#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <portfire/tensor.h>

#include "archive/archive.h"
#include "engine/torchscript/torchscript.h"

namespace portfire::test {

/// A module to be: methods as TorchScript source, and what `self` holds.
struct Scripted {
  std::string methods;
  std::vector<NamedTensor> parameters{};
  std::vector<NamedTensor> buffers{};
  std::vector<std::pair<std::string, Scripted>> submodules{};
  std::vector<std::string> tensor_lists{};  ///< empty List[Tensor] attributes
};

/// The archive that LibTorch writes for it, as torch.jit.save does.
std::vector<std::byte> saved(const Scripted& scripted);
Archive archive_of(const Scripted& scripted);
/// The same with one piece of a record's text replaced, checksums and all.
Archive edited(const Scripted& scripted, const std::string& record, const std::string& from, const std::string& to);
inline const std::string kModels = PORTFIRE_TEST_DATA "/models";
/// A file of tests/data/models.
Archive stored(const std::string& name);

std::unique_ptr<Engine> engine_of(const Archive& archive, Optimization optimization = Optimization::kFreeze,
                                  const std::vector<std::string>& allow_ops = {});
std::unique_ptr<Engine> engine_of(const Scripted& scripted, Optimization optimization = Optimization::kFreeze);

Tensor floats(const std::vector<float>& values);
Tensor scalar(float value);
Tensor scalar(std::int64_t value);

/// A path in the temporary folder where nothing is.
std::string fresh_path(const std::string& name);

}  // namespace portfire::test

namespace portfire {

/// How a failed comparison shows a tensor.
inline void PrintTo(const Tensor& tensor, std::ostream* out) { *out << tensor.to_string(); }

}  // namespace portfire
