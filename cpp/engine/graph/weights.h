#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>

#include "archive/archive.h"
#include "archive/exported_program.h"

namespace portfire::graph {

struct Block;
struct Operand;

/// Tensors of an archive's weights. Those of one record share their memory. Not thread-safe.
class Weights {
 public:
  explicit Weights(Archive archive, Device device) : archive_(std::move(archive)), device_(device) {}

  /// The weight's elements: where they lie in the archive's bytes, which they keep alive; or a copy, where the record is small or
  /// compressed or the device another; or, of a record that is left in the file, a tensor that waits for `fetch`: its sizes
  /// are known, and whoever looks at its values before gets an exception. Nobody may write to them. Throws as Archive::read.
  at::Tensor tensor(const exported::Weight& weight);

 private:
  c10::Storage storage_of(const std::string& record);

  Archive archive_;
  Device device_;
  std::map<std::string, c10::Storage> storages_;  // by record
};

/// Reads the values of a weight that waits for them; nothing for others. Throws as Archive::read. Not thread-safe, as what
/// follows: for the thread that loads.
void fetch(const at::Tensor& tensor);
/// The same for all that an operand knows.
void fetch_constants(const Operand& operand);
/// The tensor waits again, where it did before, and takes no memory: its values are read anew for whoever asks.
void let_wait(const at::Tensor& tensor);
/// True for a weight that waits or waited.
bool may_wait(const at::Tensor& tensor);
/// Reads the values, where they are not here, for good: nothing of the file is held any more.
void settle(const at::Tensor& tensor);
/// The same for all constants that the block's steps and outputs have. To be called before the block runs.
void settle(const Block& block);

}  // namespace portfire::graph
