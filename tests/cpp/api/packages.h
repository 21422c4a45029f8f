#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <portfire/model.h>

namespace portfire::test {

/// tests/data/models/brightness: pictures told apart as "dark", "grey" and "bright".
inline const std::string kBrightness = PORTFIRE_TEST_DATA "/models/brightness";
/// tests/data/models/layers: a program of torch.export, float32 [N, 4, 8, 8] to [N, 3] and [N, 128].
inline const std::string kLayers = PORTFIRE_TEST_DATA "/models/layers";
/// tests/data/models/add: task tensor, (a, b) to (a + b, 2 a).
inline const std::string kAdd = PORTFIRE_TEST_DATA "/models/add";
/// TorchScript without a manifest: 2 x + 1.
inline const std::string kTraced = PORTFIRE_TEST_DATA "/models/traced.pt";

/// A folder of the test's own, removed with it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string at(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Writes `package` to `path` with some of its records replaced. Hashes in the manifest follow.
void write_changed(const std::string& package, const std::string& path, const std::map<std::string, std::string>& records);
/// A record of a package, as text.
std::string record_of(const std::string& package, const std::string& name);

/// A picture of one grey.
Input grey(std::uint8_t value, std::int64_t size = 4);
Tensor floats(const std::vector<float>& values, const Dims& shape);

}  // namespace portfire::test

namespace portfire {

/// How a failed comparison shows a tensor.
inline void PrintTo(const Tensor& tensor, std::ostream* out) { *out << tensor.to_string(); }

}  // namespace portfire
