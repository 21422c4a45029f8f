#include "tasks/tensor.h"

#include <string_view>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

class TensorTask final : public Task {
 public:
  std::vector<NamedTensor> decode(const Input& input) const override {
    if (input.kind() == Input::Kind::kTensors) return input.tensors();
    const std::vector<std::byte> bytes = input.read();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with("\x93NUMPY")) return {{"", decode_npy(bytes, input.name())}};
    // The header's length comes first, and no header is so long that its eighth byte is not 0; no text has one.
    if (text.size() > 8 && text[7] == '\0' && text[8] == '{') return decode_safetensors(bytes, input.name());
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && (text[first] == '{' || text[first] == '[')) {
      return decode_json_tensors(bytes, input.name());
    }
    throw Error(ErrorCode::kInvalidInput,
                cat(input.name(), ": not tensors (",
                    text.empty() ? "it is empty" : cat("starts with ", quoted(text.substr(0, 4))),
                    "); .npy, .safetensors or JSON is needed, or a picture with --image-size"));
  }

  bool staged() const override { return false; }

  Answer answer(std::vector<NamedTensor> outputs, const RunOptions&) const override {
    return {TensorAnswer{std::move(outputs)}};
  }
};

}  // namespace

std::unique_ptr<Task> make_tensor_task() { return std::make_unique<TensorTask>(); }

}  // namespace portfire
