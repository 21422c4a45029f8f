#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "codecs/json_text.h"
#include "codecs/layout.h"
#include "core/half.h"
#include "core/text.h"

namespace portfire {
namespace {

using Json = nlohmann::json;

// {"x": {"data": lists}}
constexpr int kMaxDepth = 2 + static_cast<int>(Dims::kMaxRank);

/// One tensor's nested lists, laid flat in row-major order.
struct Lists {
  std::string what;  ///< "in.json: x"
  std::vector<std::int64_t> sizes;
  std::vector<const Json*> leaves;

  /// "in.json: x[1][0]"
  [[nodiscard]] std::string place(std::size_t leaf) const {
    std::string out;
    for (std::size_t axis = sizes.size(); axis-- > 0;) {
      const auto size = static_cast<std::size_t>(sizes[axis]);
      out = cat("[", leaf % size, "]", out);
      leaf /= size;
    }
    return what + out;
  }
};

[[noreturn]] void fail(const std::string& place, std::string_view problem) {
  throw Error(ErrorCode::kInvalidInput, cat(place, " ", problem));
}

/// Appends the leaves below `json`, which must be as long at each level as the first was.
void collect(const Json& json, std::size_t axis, const std::string& place, Lists& lists) {
  if (axis == lists.sizes.size()) {
    if (json.is_array()) fail(place, "is a list where its neighbours are not; all have the same lengths");
    lists.leaves.push_back(&json);
    return;
  }
  if (!json.is_array()) fail(place, "is no list where its neighbours are; all have the same lengths");
  if (static_cast<std::int64_t>(json.size()) != lists.sizes[axis]) {
    fail(place, cat("has ", json.size(), " values where its neighbours have ", lists.sizes[axis]));
  }
  const bool bottom = axis + 1 == lists.sizes.size();
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (bottom && !json[i].is_array()) {
      lists.leaves.push_back(&json[i]);
    } else {
      collect(json[i], axis + 1, cat(place, "[", i, "]"), lists);
    }
  }
}

Lists flatten(const std::string& what, const Json& json) {
  Lists lists{.what = what, .sizes = {}, .leaves = {}};
  const Json* first = &json;
  while (first->is_array()) {
    lists.sizes.push_back(static_cast<std::int64_t>(first->size()));
    if (first->empty()) break;
    first = &first->front();
  }
  collect(json, 0, what, lists);
  return lists;
}

DType guessed_dtype(const Lists& lists) {
  bool whole = true;
  for (std::size_t i = 0; i < lists.leaves.size(); ++i) {
    const Json& leaf = *lists.leaves[i];
    if (!leaf.is_number() && !leaf.is_boolean()) {
      fail(lists.place(i), cat("is ", leaf.type_name(), "; a number or a boolean is needed"));
    }
    if (leaf.is_boolean() != lists.leaves[0]->is_boolean()) {
      fail(lists.place(i), cat("is a ", leaf.type_name(), " unlike its neighbours; all are numbers or all booleans"));
    }
    whole = whole && leaf.is_number_integer();
  }
  if (!lists.leaves.empty() && lists.leaves[0]->is_boolean()) return DType::kBool;
  return whole ? DType::kInt64 : DType::kFloat32;
}

template <typename T>
T whole_number(const Lists& lists, std::size_t i, DType dtype) {
  const Json& leaf = *lists.leaves[i];
  const bool too_large = leaf.is_number_unsigned() &&
                         leaf.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max());
  const bool too_small = leaf.is_number_integer() && !leaf.is_number_unsigned() &&
                         leaf.get<std::int64_t>() < static_cast<std::int64_t>(std::numeric_limits<T>::min());
  if (!leaf.is_number_integer() || too_large || too_small) {
    fail(lists.place(i), cat("is ", quoted(leaf.dump(-1, ' ', true)), "; a whole number that ", name_of(dtype),
                             " holds is needed"));
  }
  return leaf.get<T>();
}

double real_number(const Lists& lists, std::size_t i, DType dtype, double limit) {
  const Json& leaf = *lists.leaves[i];
  if (!leaf.is_number() || std::fabs(leaf.get<double>()) >= limit) {
    fail(lists.place(i), cat("is ", quoted(leaf.dump(-1, ' ', true)), "; a number that ", name_of(dtype),
                             " holds is needed"));
  }
  return leaf.get<double>();
}

bool boolean(const Lists& lists, std::size_t i) {
  if (!lists.leaves[i]->is_boolean()) {
    fail(lists.place(i), cat("is ", lists.leaves[i]->type_name(), "; a boolean is needed"));
  }
  return lists.leaves[i]->get<bool>();
}

template <typename Convert>
Tensor filled(const Lists& lists, DType dtype, const Dims& shape, Convert convert) {
  Tensor tensor = Tensor::zeros(dtype, shape);
  auto* out = static_cast<std::byte*>(tensor.mutable_data());
  for (std::size_t i = 0; i < lists.leaves.size(); ++i) {
    const auto value = convert(i);
    std::memcpy(out + i * sizeof value, &value, sizeof value);
  }
  return tensor;
}

Tensor convert(const Lists& lists, DType dtype, const Dims& shape) {
  // Values that would round to infinity: the largest and half a unit of its last place.
  constexpr double kHalfLimit = 65520;
  constexpr double kBFloat16Limit = 0x1.FFp127;
  constexpr double kFloatLimit = 0x1.FFFFFFp127;
  constexpr double kDoubleLimit = std::numeric_limits<double>::infinity();
  const auto whole = [&]<typename T>(T) {
    return filled(lists, dtype, shape, [&](std::size_t i) { return whole_number<T>(lists, i, dtype); });
  };
  const auto real = [&](double limit, auto narrow) {
    return filled(lists, dtype, shape, [&](std::size_t i) { return narrow(real_number(lists, i, dtype, limit)); });
  };
  switch (dtype) {
    case DType::kBool: return filled(lists, dtype, shape, [&](std::size_t i) { return boolean(lists, i); });
    case DType::kUInt8: return whole(std::uint8_t{});
    case DType::kInt8: return whole(std::int8_t{});
    case DType::kInt16: return whole(std::int16_t{});
    case DType::kInt32: return whole(std::int32_t{});
    case DType::kInt64: return whole(std::int64_t{});
    case DType::kFloat16: return real(kHalfLimit, half_from_double);
    case DType::kBFloat16: return real(kBFloat16Limit, bfloat16_from_double);
    case DType::kFloat32: return real(kFloatLimit, [](double value) { return static_cast<float>(value); });
    case DType::kFloat64: return real(kDoubleLimit, [](double value) { return value; });
  }
  throw Error(ErrorCode::kInternal, "a dtype without a row");
}

DType named_dtype(const std::string& what, const Json& json) {
  if (!json.is_string()) fail(what, "has a dtype that is no string");
  try {
    return dtype_from_name(json.get_ref<const std::string&>());
  } catch (const Error& error) {
    fail(what, cat("has an ", error.what()));
  }
}

std::vector<std::int64_t> named_shape(const std::string& what, const Json& json) {
  if (!json.is_array()) fail(what, "has a shape that is no list");
  const Lists sizes = flatten(what + " shape", json);
  if (sizes.sizes.size() != 1) fail(what, "has a shape that is no list of whole numbers");
  std::vector<std::int64_t> shape;
  for (std::size_t i = 0; i < sizes.leaves.size(); ++i) {
    shape.push_back(whole_number<std::int64_t>(sizes, i, DType::kInt64));
  }
  return shape;
}

/// Lists, a number, or {"dtype": …, "shape": …, "data": …} of which only data is needed.
Tensor read_tensor(const std::string& what, const Json& json) {
  if (!json.is_object()) {
    const Lists lists = flatten(what, json);
    const DType dtype = guessed_dtype(lists);
    return convert(lists, dtype, checked_shape(what, dtype, lists.sizes));
  }
  for (const auto& [key, value] : json.items()) {
    if (key != "dtype" && key != "shape" && key != "data") {
      fail(what, cat("has a field ", quoted(key), "; dtype, shape and data are known"));
    }
  }
  if (!json.contains("data")) fail(what, "has no data");
  const Lists lists = flatten(what, json["data"]);
  const DType dtype = json.contains("dtype") ? named_dtype(what, json["dtype"]) : guessed_dtype(lists);
  const std::vector<std::int64_t> sizes = json.contains("shape") ? named_shape(what, json["shape"]) : lists.sizes;
  const Dims shape = checked_shape(what, dtype, sizes);
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const bool flat = lists.sizes.size() == 1 && lists.sizes[0] == count;
  if (!flat && sizes != lists.sizes) {
    fail(what, cat("has data of shape ", checked_shape(what, dtype, lists.sizes).to_string(), " where its shape says ",
                   shape.to_string()));
  }
  return convert(lists, dtype, shape);
}

}  // namespace

std::vector<NamedTensor> decode_json_tensors(std::span<const std::byte> bytes, std::string_view name) {
  const Json json = parse_json(name, bytes, kMaxDepth);
  const std::string file(name);
  std::vector<NamedTensor> tensors;
  if (json.is_array()) {
    tensors.push_back({"", read_tensor(cat(file, ": list"), json)});
  } else if (json.is_object() && !json.empty()) {
    for (const auto& [key, value] : json.items()) {
      tensors.push_back({key, read_tensor(cat(file, ": ", quoted(key)), value)});
    }
  } else {
    throw Error(ErrorCode::kInvalidInput, cat(file, ": an object of tensors by name, or a nested list, is needed"));
  }
  return tensors;
}

}  // namespace portfire
