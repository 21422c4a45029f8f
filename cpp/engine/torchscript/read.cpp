#include "engine/torchscript/read.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/libtorch/translate.h"

namespace portfire::torchscript {
namespace {

/// The archive's own bytes, so that nobody can change what was checked before it is read.
class ArchiveAdapter : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit ArchiveAdapter(Archive archive) : archive_(std::move(archive)) {}

  std::size_t size() const override { return archive_.file_bytes(); }

  std::size_t read(std::uint64_t position, void* buffer, std::size_t count, const char*) const override {
    return archive_.copy(position, {static_cast<std::byte*>(buffer), count});
  }

 private:
  Archive archive_;
};

[[noreturn]] void refuse(const Archive& archive, const std::string& what) {
  throw Error(ErrorCode::kUntrustedPackage,
              cat(archive.path(), ": two zip readers disagree on ", what, "; the archive was made to deceive"));
}

// Note [Two readers]: the archive layer checks with libzip what LibTorch then reads with miniz. A file in
// which the two find different records could smuggle code past the check, so both lists, all sizes and
// the bytes of whatever can run at load are compared.
void require_same_view(const Archive& archive, const std::shared_ptr<ArchiveAdapter>& adapter) {
  caffe2::serialize::PyTorchStreamReader reader(adapter);
  std::vector<std::string> seen = reader.getAllRecords();
  std::sort(seen.begin(), seen.end());
  const auto entries = archive.entries();
  if (seen.size() != entries.size()) refuse(archive, cat("how many records there are: ", entries.size(), " and ", seen.size()));
  for (std::size_t k = 0; k < seen.size(); ++k) {
    const ArchiveEntry& entry = entries[k];
    if (seen[k] != entry.name) refuse(archive, cat("a record's name: ", quoted(entry.name), " and ", quoted(seen[k])));
    if (reader.getRecordSize(entry.name) != entry.bytes) refuse(archive, cat("the size of ", quoted(entry.name)));
    const bool can_run = entry.name.starts_with("code/") || entry.name.ends_with(".pkl");
    if (!can_run) continue;
    const auto [data, size] = reader.getRecord(entry.name);
    const std::vector<std::byte> ours = archive.read(entry.name);
    if (size != ours.size() || std::memcmp(data.get(), ours.data(), size) != 0) {
      refuse(archive, cat("the bytes of ", quoted(entry.name)));
    }
  }
}

}  // namespace

torch::jit::Module read_module(const Archive& archive) {
  const auto adapter = std::make_shared<ArchiveAdapter>(archive);
  return libtorch::translated(ErrorCode::kInvalidPackage, cat(archive.path(), ": LibTorch cannot read it"), [&] {
    require_same_view(archive, adapter);
    torch::jit::Module module = torch::jit::load(adapter, c10::Device(c10::kCPU));
    module.eval();
    return module;
  });
}

}  // namespace portfire::torchscript
