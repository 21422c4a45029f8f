#include "apps/write_outputs.h"

#include <span>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "core/file.h"
#include "core/text.h"

namespace portfire::apps {

void write_outputs(const std::string& path, const TensorAnswer& answer) {
  if (path.ends_with(".safetensors")) return write_file(path, encode_safetensors(answer.outputs));
  if (path.ends_with(".json")) {
    const std::string json = Answer{answer}.to_json() + "\n";
    return write_file(path, std::as_bytes(std::span(json)));
  }
  if (path.ends_with(".npy") && answer.outputs.size() == 1) return write_file(path, encode_npy(answer.outputs[0].tensor));
  throw Error(ErrorCode::kInvalidArgument,
              cat("--output ", quoted(path), " for ", answer.outputs.size(),
                  " outputs; a name ending in .safetensors or .json, or in .npy for a single output"));
}

}  // namespace portfire::apps
