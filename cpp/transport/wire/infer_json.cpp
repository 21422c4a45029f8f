#include "transport/wire/infer_json.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <portfire/error.h>

#include "core/half.h"
#include "core/text.h"
#include "transport/wire/json_reader.h"

namespace portfire::wire {
namespace {

/// simdjson's own least is 32 or 64, by its version.
constexpr std::size_t kPadding = 64;

template <typename T>
T element_of(json::value value, const Where& where) {
  if constexpr (std::is_same_v<T, bool>) {
    return truth_of(value, where);
  } else if constexpr (std::is_floating_point_v<T>) {
    double number = 0;
    require(value.get_double().get(number), where, "a number");
    if (std::abs(number) > static_cast<double>(std::numeric_limits<T>::max())) refuse(where, cat(" is ", number, ", more than its datatype holds"));
    return static_cast<T>(number);
  } else {
    const std::int64_t number = integer_of(value, where);
    if (number < static_cast<std::int64_t>(std::numeric_limits<T>::min()) || number > static_cast<std::int64_t>(std::numeric_limits<T>::max())) {
      refuse(where, cat(" is ", number, ", more than its datatype holds"));
    }
    return static_cast<T>(number);
  }
}

/// Fills a tensor from a list of its elements, flat or nested in any way. `where` begins every error.
template <typename T, typename Stored = T, typename Convert = Stored (*)(T)>
class Filler {
 public:
  Filler(Tensor& tensor, const Where& where, Convert convert) : at_(static_cast<Stored*>(tensor.mutable_data())), left_(tensor.numel()), all_(left_), where_(where), convert_(convert) {}

  void fill(json::value value) {
    add(value, 0);
    if (left_ > 0) refuse(where_, cat(" has ", all_ - left_, " elements; its shape has ", all_));
  }

 private:
  void add(json::value value, int depth) {
    if (depth > kDeepest) refuse(where_, cat(" is nested more than ", kDeepest, " deep"));
    json::array array;
    require(value.get_array().get(array), where_, "a list");
    for (auto element : array) {
      json::value one;
      require(element.get(one), where_, "a value");
      json::json_type type{};
      require(one.type().get(type), where_, "a value");
      if (type == json::json_type::array) {
        add(one, depth + 1);
        continue;
      }
      if (left_ == 0) refuse(where_, cat(" has more than ", all_, " elements, which is what its shape has"));
      *at_++ = convert_(element_of<T>(one, where_));
      --left_;
    }
  }

  Stored* at_;
  std::int64_t left_;
  std::int64_t all_;
  const Where& where_;
  Convert convert_;
};

template <typename T>
void fill_plain(Tensor& tensor, json::value data, const Where& where) {
  Filler<T>(tensor, where, [](T value) { return value; }).fill(data);
}

/// Where rounding begins to give infinity.
constexpr double kPastHalf = 65520;
constexpr double kPastBFloat16 = 0x1.ffp127;

std::uint16_t checked_half(double value) {
  if (std::abs(value) >= kPastHalf) refuse("data", cat(" holds ", value, ", more than FP16 does"));
  return half_from_double(value);
}

std::uint16_t checked_bfloat16(double value) {
  if (std::abs(value) >= kPastBFloat16) refuse("data", cat(" holds ", value, ", more than BF16 does"));
  return bfloat16_from_double(value);
}

void fill(Tensor& tensor, json::value data, const Where& where) {
  switch (tensor.dtype()) {
    case DType::kBool: return fill_plain<bool>(tensor, data, where);
    case DType::kUInt8: return fill_plain<std::uint8_t>(tensor, data, where);
    case DType::kInt8: return fill_plain<std::int8_t>(tensor, data, where);
    case DType::kInt16: return fill_plain<std::int16_t>(tensor, data, where);
    case DType::kInt32: return fill_plain<std::int32_t>(tensor, data, where);
    case DType::kInt64: return fill_plain<std::int64_t>(tensor, data, where);
    case DType::kFloat16: return Filler<double, std::uint16_t>(tensor, where, checked_half).fill(data);
    case DType::kBFloat16: return Filler<double, std::uint16_t>(tensor, where, checked_bfloat16).fill(data);
    case DType::kFloat32: return fill_plain<float>(tensor, data, where);
    case DType::kFloat64: return fill_plain<double>(tensor, data, where);
  }
}

/// An input as far as it is known before its data are read.
struct Header {
  std::string name;
  std::string datatype;
  std::optional<Dims> shape;
  std::optional<std::int64_t> binary_bytes;
  bool has_data = false;
};

Dims shape_of(json::value value, const Where& where) {
  std::vector<std::int64_t> sizes;
  for_each_element(value, where, [&](json::value one) {
    const std::int64_t size = integer_of(one, where);
    if (size < 0) refuse(where, cat(" has a size of ", size));
    if (sizes.size() == Dims::kMaxRank) refuse(where, cat(" has more than ", Dims::kMaxRank, " axes"));
    sizes.push_back(size);
  });
  return Dims(std::span<const std::int64_t>(sizes));
}

/// Zeros for an input, unless it claims to be larger than what the body can hold: an element takes at least two bytes of JSON.
Tensor tensor_for(const Header& header, std::size_t body_bytes, const Where& where) {
  const DType dtype = dtype_of(header.datatype, header.name);
  if (!header.shape) refuse(where, " has no \"shape\"");
  std::int64_t elements = 1;
  for (const std::int64_t size : *header.shape) {
    // A 0 does not excuse what stands beside it: strides are products of sizes.
    const std::int64_t counted = std::max<std::int64_t>(size, 1);
    if (elements > static_cast<std::int64_t>(body_bytes) / counted) refuse(where, cat(" has the shape ", header.shape->to_string(), ", of more elements than came"));
    elements *= counted;
  }
  return Tensor::zeros(dtype, *header.shape);
}

/// What reads the inputs of one request.
class InputReader {
 public:
  InputReader(std::string_view body, std::size_t json_bytes) : body_(body), at_(json_bytes) {}

  NamedTensor read(json::value value, std::size_t index) {
    const Where where("inputs", index);
    Header header;
    std::optional<Tensor> tensor;
    json::object object;
    require(value.get_object().get(object), where, "an object");
    for (auto field : object) {
      json::field one;
      require(std::move(field).get(one), where, "a field");
      std::string_view key;
      require(one.unescaped_key().get(key), where, "text");
      if (key == "data" && (!header.datatype.empty() && header.shape)) {
        if (header.has_data) refuse(where, " has \"data\" twice");
        tensor = tensor_for(header, body_.size(), where);
        fill(*tensor, one.value(), Where(where, "data"));
        header.has_data = true;
      } else {
        header_field(key, one.value(), header, where);
      }
    }
    if (header.name.empty()) refuse(where, " has no \"name\"");
    if (header.has_data && !tensor) tensor = late_data(object, header, where);
    if (header.binary_bytes) {
      if (header.has_data) refuse(where, " has both \"data\" and \"binary_data_size\"");
      tensor = binary(header, where);
    }
    if (!tensor) refuse(where, " has no \"data\"");
    return {header.name, *std::move(tensor)};
  }

  void end() const {
    if (at_ != body_.size()) refuse("the body", cat(" has ", body_.size() - at_, " bytes after its inputs' data"));
  }

 private:
  static void header_field(std::string_view key, json::value value, Header& header, const Where& where) {
    const auto once = [&](bool first) {
      if (!first) refuse(where, cat(" has ", quoted(key), " twice"));
    };
    if (key == "name") {
      once(header.name.empty());
      header.name = text_of(value, Where(where, "name"));
    } else if (key == "datatype") {
      once(header.datatype.empty());
      header.datatype = text_of(value, Where(where, "datatype"));
    } else if (key == "shape") {
      once(!header.shape);
      header.shape = shape_of(value, Where(where, "shape"));
    } else if (key == "parameters") {
      for_each_field(value, Where(where, "parameters"), [&](std::string_view name, json::value parameter) {
        const Where parameters(where, "parameters");
        const Where at(parameters, name);
        if (name != "binary_data_size") return pass_over(parameter, at);
        once(!header.binary_bytes);
        header.binary_bytes = integer_of(parameter, at);
        if (*header.binary_bytes < 0) refuse(at, cat(" is ", *header.binary_bytes));
      });
    } else {
      if (key == "data") {
        if (header.has_data) refuse(where, " has \"data\" twice");
        header.has_data = true;
      }
      pass_over(value, Where(where, key));
    }
  }

  /// Data that stood before what says how to read them.
  Tensor late_data(json::object& object, const Header& header, const Where& where) const {
    Tensor tensor = tensor_for(header, body_.size(), where);
    bool unused = false;
    require(object.reset().get(unused), where, "an object");
    json::value data;
    require(object.find_field_unordered("data").get(data), where, "an object");
    fill(tensor, data, Where(where, "data"));
    return tensor;
  }

  Tensor binary(const Header& header, const Where& where) {
    Tensor tensor = tensor_for(header, body_.size(), where);
    const auto bytes = static_cast<std::uint64_t>(*header.binary_bytes);
    if (bytes != tensor.nbytes()) refuse(where, cat(".parameters.binary_data_size is ", bytes, "; ", header.datatype, " ", tensor.shape().to_string(), " takes ", tensor.nbytes()));
    if (bytes > body_.size() - at_) refuse(where, cat(" has ", bytes, " bytes of binary data; the body has ", body_.size() - at_, " left"));
    if (bytes > 0) std::memcpy(tensor.mutable_data(), body_.data() + at_, bytes);
    at_ += bytes;
    if (tensor.dtype() == DType::kBool) {
      const std::span<const std::uint8_t> values(static_cast<const std::uint8_t*>(tensor.data()), bytes);
      if (std::any_of(values.begin(), values.end(), [](std::uint8_t one) { return one > 1; })) refuse(where, " is BOOL and has a byte that is neither 0 nor 1");
    }
    return tensor;
  }

  std::string_view body_;
  std::size_t at_;
};

WantedOutput output_of(json::value value, std::size_t index) {
  const Where where("outputs", index);
  WantedOutput wanted;
  for_each_field(value, where, [&](std::string_view key, json::value field) {
    if (key == "name") {
      wanted.name = text_of(field, Where(where, "name"));
    } else if (key == "parameters") {
      for_each_field(field, Where(where, "parameters"), [&](std::string_view name, json::value parameter) {
        const Where parameters(where, "parameters");
        const Where at(parameters, name);
        if (name == "binary_data") {
          wanted.binary = truth_of(parameter, at);
        } else if (name == "classification") {
          wanted.classes = integer_of(parameter, at);
          if (wanted.classes < 0) refuse(at, cat(" is ", wanted.classes));
        } else {
          pass_over(parameter, at);
        }
      });
    } else {
      pass_over(field, Where(where, key));
    }
  });
  if (wanted.name.empty()) refuse(where, " has no \"name\"");
  return wanted;
}

void request_parameter(std::string_view name, json::value value, InferRequest& request) {
  const Where parameters("parameters");
  const Where where(parameters, name);
  if (name == "binary_data_output") {
    request.all_binary = truth_of(value, where);
  } else if (name == "timeout") {
    request.timeout_us = integer_of(value, where);
  } else if (name == "priority") {
    request.priority = integer_of(value, where);
  } else if (name == "sequence_id" || name == "sequence_start" || name == "sequence_end") {
    throw Error(ErrorCode::kUnsupported, cat(where.text(), ": sequences of requests are not kept here; text models have generate_stream"));
  } else {
    pass_over(value, where);
  }
}

}  // namespace

InferRequest infer_request_of(std::string_view body, std::size_t json_bytes) {
  if (json_bytes > body.size()) refuse("Inference-Header-Content-Length", cat(" is ", json_bytes, "; the body has ", body.size(), " bytes"));
  thread_local json::parser parser;
  // A parser keeps room for the largest document that it has read.
  constexpr std::size_t kKept = 1 << 20;
  if (parser.capacity() > kKept && json_bytes < kKept) parser = json::parser();
  InferRequest request;
  InputReader inputs(body, json_bytes);
  bool has_inputs = false;
  bool has_outputs = false;
  bool has_id = false;
  const auto once = [](bool& had, const char* name) {
    if (std::exchange(had, true)) refuse("the body", cat(" has \"", name, "\" twice"));
  };
  try {
    json::document document;
    require(parser.iterate(body.data(), json_bytes, body.size() + kPadding).get(document), "the body", "JSON");
    json::object object;
    require(document.get_object().get(object), "the body", "an object");
    for (auto field : object) {
      json::field one;
      require(std::move(field).get(one), "the body", "a field");
      std::string_view key;
      require(one.unescaped_key().get(key), "the body", "text");
      if (key == "id") {
        once(has_id, "id");
        request.id = text_of(one.value(), "id");
      } else if (key == "inputs") {
        once(has_inputs, "inputs");
        for_each_element(one.value(), "inputs", [&](json::value input) { request.inputs.push_back(inputs.read(input, request.inputs.size())); });
      } else if (key == "outputs") {
        once(has_outputs, "outputs");
        for_each_element(one.value(), "outputs", [&](json::value output) { request.outputs.push_back(output_of(output, request.outputs.size())); });
      } else if (key == "parameters") {
        for_each_field(one.value(), "parameters", [&](std::string_view name, json::value value) { request_parameter(name, value, request); });
      } else {
        pass_over(one.value(), key);
      }
    }
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) refuse("the body", ": not JSON: something follows its end");
  } catch (const simdjson::simdjson_error& error) {
    refuse("the body", cat(": not JSON: ", error.what()));
  }
  if (request.inputs.empty()) refuse("the body", " has no \"inputs\"");
  inputs.end();
  return request;
}

}  // namespace portfire::wire
