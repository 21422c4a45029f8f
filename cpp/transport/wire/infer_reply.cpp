#include "transport/wire/infer_json.h"

#include <nlohmann/json.hpp>

#include "codecs/tensor_json.h"

namespace portfire::wire {

std::string json_string(std::string_view text) { return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

std::string infer_reply(const InferRequest& request, const std::string& model, std::int64_t version, const std::vector<InferOutput>& outputs,
                        std::size_t& json_bytes) {
  std::string out = "{";
  if (!request.id.empty()) {
    out += "\"id\":";
    out += json_string(request.id);
    out += ',';
  }
  out += "\"model_name\":\"";
  out += model;  // letters, digits, '.', '_' and '-'
  out += "\",\"model_version\":\"";
  out += std::to_string(version);
  out += "\",\"outputs\":[";
  std::string tail;
  for (const InferOutput& output : outputs) {
    if (&output != outputs.data()) out += ',';
    out += "{\"name\":";
    out += json_string(output.name);
    out += ",\"datatype\":\"";
    out += output.is_text ? "BYTES" : datatype_of(output.tensor.dtype());
    out += "\",\"shape\":[";
    for (std::size_t k = 0; k < output.shape.size(); ++k) {
      if (k > 0) out += ',';
      out += std::to_string(output.shape[k]);
    }
    out += ']';
    if (output.binary) {
      const std::string texts = output.is_text ? packed_texts(output.texts) : std::string();
      const std::size_t bytes = output.is_text ? texts.size() : output.tensor.nbytes();
      out += ",\"parameters\":{\"binary_data_size\":";
      out += std::to_string(bytes);
      out += "}}";
      tail.append(output.is_text ? texts.data() : static_cast<const char*>(output.tensor.data()), bytes);
      continue;
    }
    out += ",\"data\":[";
    if (output.is_text) {
      for (std::size_t k = 0; k < output.texts.size(); ++k) {
        if (k > 0) out += ',';
        out += json_string(output.texts[k]);
      }
    } else {
      append_json_elements(out, output.tensor, ",");
    }
    out += "]}";
  }
  out += "]}";
  json_bytes = out.size();
  return out + tail;
}

}  // namespace portfire::wire
