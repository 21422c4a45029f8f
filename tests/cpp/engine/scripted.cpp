#include "scripted.h"

#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "../archive/raw_zip.h"
#include "engine/libtorch/convert.h"

namespace portfire::test {
namespace {

torch::jit::Module module_of(const Scripted& scripted, const std::string& name,
                             const std::shared_ptr<torch::jit::CompilationUnit>& unit) {
  torch::jit::Module module(c10::QualifiedName("__torch__." + name), unit);
  module.register_attribute("training", c10::BoolType::get(), false);
  for (const NamedTensor& one : scripted.parameters) {
    module.register_parameter(one.name, libtorch::to_torch(one.tensor).clone(), false);
  }
  for (const NamedTensor& one : scripted.buffers) {
    module.register_buffer(one.name, libtorch::to_torch(one.tensor).clone());
  }
  for (const std::string& list : scripted.tensor_lists) {
    module.register_attribute(list, c10::ListType::ofTensors(), c10::List<at::Tensor>());
  }
  for (const auto& [child, inner] : scripted.submodules) {
    module.register_module(child, module_of(inner, name + "_" + child, unit));
  }
  module.define(scripted.methods);
  return module;
}

}  // namespace

std::vector<std::byte> saved(const Scripted& scripted) {
  const auto module = module_of(scripted, "Model", std::make_shared<torch::jit::CompilationUnit>());
  std::ostringstream out;
  module.save(out);
  return bytes_of(out.str());
}

Archive archive_of(const Scripted& scripted) { return Archive::from_bytes(saved(scripted), "model.pt"); }

Archive edited(const Scripted& scripted, const std::string& name, const std::string& from, const std::string& to) {
  const Archive archive = archive_of(scripted);
  RawZip zip;
  bool found = false;
  for (const ArchiveEntry& entry : archive.entries()) {
    std::string text = text_of(archive.read(entry.name));
    const auto at = entry.name == name ? text.find(from) : std::string::npos;
    if (at != std::string::npos) {
      text.replace(at, from.size(), to);
      found = true;
    }
    zip.entries.push_back(record(archive.root() + "/" + entry.name, text));
  }
  if (!found) throw std::runtime_error(name + " does not hold " + from);
  return Archive::from_bytes(zip.bytes(), "model.pt");
}

Archive stored(const std::string& name) { return Archive::open(kModels + "/" + name); }

std::unique_ptr<Engine> engine_of(const Archive& archive, Optimization optimization,
                                  const std::vector<std::string>& allow_ops) {
  return torchscript::load(archive, {.device = {}, .optimization = optimization, .threads = 1, .allow_ops = allow_ops}).engine;
}

std::unique_ptr<Engine> engine_of(const Scripted& scripted, Optimization optimization) {
  return engine_of(archive_of(scripted), optimization);
}

Tensor floats(const std::vector<float>& values) {
  return Tensor::copy_of(values, {static_cast<std::int64_t>(values.size())});
}

Tensor scalar(float value) { return Tensor::copy_of(std::vector<float>{value}, {}); }

Tensor scalar(std::int64_t value) { return Tensor::copy_of(std::vector<std::int64_t>{value}, {}); }

std::string fresh_path(const std::string& name) {
  const auto path = std::filesystem::temp_directory_path() / ("portfire-" + std::to_string(::getpid()) + "-" + name);
  std::filesystem::remove(path);
  return path.string();
}

}  // namespace portfire::test
