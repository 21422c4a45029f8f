#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/tensor.h>

#include "serving/served.h"

/// The Open Inference Protocol v2, in whatever form it comes: docs/serving.md names the extensions.
namespace portfire::wire {

/// "FP32"; the protocol's name of a dtype.
std::string_view datatype_of(DType dtype) noexcept;
/// Throws kInvalidInput on a datatype that models here do not have, naming the input.
DType dtype_of(std::string_view datatype, std::string_view input);

/// An output that the client asked for.
struct WantedOutput {
  std::string name{};
  std::optional<bool> binary{};  ///< as bytes after the JSON; nothing: as the request says of all
  std::int64_t classes = 0;      ///< not the values but the best so many, as "value:index:label"
};

/// What a client asks of `forward`.
struct InferRequest {
  std::string id{};
  std::vector<NamedTensor> inputs{};
  std::vector<WantedOutput> outputs{};  ///< empty: all
  bool all_binary = false;              ///< of outputs that do not say
  std::int64_t timeout_us = 0;          ///< 0: none
  std::int64_t priority = 0;            ///< 0: the usual; 1 is the most urgent, as Triton has it
};

/// An output as it goes back: a tensor, or the texts of a BYTES tensor.
struct InferOutput {
  std::string name;
  Tensor tensor{};
  std::vector<std::string> texts{};
  bool is_text = false;
  Dims shape{};
  bool binary = false;
};

/// The outputs that were asked for, in that order. Throws kInvalidInput on one that is not there or asked for twice, kInvalidArgument where classes are
/// asked of what has no axis of them.
std::vector<InferOutput> chosen_outputs(const InferRequest& request, std::vector<NamedTensor> outputs, const std::vector<std::string>& labels);

/// A job for `request`; its inputs are moved out. Throws kInvalidArgument on a negative timeout or priority.
std::shared_ptr<serving::Job> job_for(InferRequest& request);

/// A BYTES tensor's elements as they lie in memory: each as its length, four bytes with the lowest first, and its bytes.
std::string packed_texts(const std::vector<std::string>& texts);

}  // namespace portfire::wire
