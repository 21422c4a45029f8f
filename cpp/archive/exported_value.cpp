#include "archive/exported_value.h"

#include <limits>
#include <string_view>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::exported {
namespace {

using Kind = Value::Kind;

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::min();

Value name(const JsonNode& node) {
  node.require({"name"});
  return {.kind = Kind::kName, .text = node.at("name").string()};
}

Value integer(const JsonNode& node) { return {.kind = Kind::kInt, .integer = node.integer(kAny)}; }

Value boolean(const JsonNode& node) { return {.kind = Kind::kBool, .integer = node.boolean() ? 1 : 0}; }

/// JSON has no infinities: they come as text.
Value real(const JsonNode& node) {
  if (!node.is_string()) return {.kind = Kind::kFloat, .real = node.number()};
  using Limits = std::numeric_limits<double>;
  const std::string text = node.string();
  if (text == "Infinity") return {.kind = Kind::kFloat, .real = Limits::infinity()};
  if (text == "-Infinity") return {.kind = Kind::kFloat, .real = -Limits::infinity()};
  if (text == "NaN") return {.kind = Kind::kFloat, .real = Limits::quiet_NaN()};
  node.fail(cat(quoted(text), " is not a number"));
}

Value string(const JsonNode& node) { return {.kind = Kind::kString, .text = node.string()}; }

/// A name, or the number itself: the schema's SymIntArgument and its kin.
template <Value (*Literal)(const JsonNode&)>
Value symbolic(const JsonNode& node) {
  const auto [kind, value] = node.only_field();
  if (kind != "as_name") return Literal(value);
  return {.kind = Kind::kName, .text = value.string()};
}

Value optional_tensor(const JsonNode& node) {
  const auto [kind, value] = node.only_field();
  return kind == "as_tensor" ? name(value) : Value{};
}

Value device(const JsonNode& node) {
  node.require({"type"});
  return {.kind = Kind::kDevice, .text = node.at("type").string()};
}

Value memory_format(const JsonNode& node) { return {.kind = Kind::kMemoryFormat, .integer = node.integer(1)}; }

Value dtype(const JsonNode& node) { return {.kind = Kind::kDType, .dtype = dtype_from(node)}; }

Value layout(const JsonNode& node) {
  if (node.integer(0) != kStridedLayout) throw Error(ErrorCode::kUnsupported, "a sparse layout; strided tensors are supported");
  return {.kind = Kind::kLayout};
}

template <Value (*Element)(const JsonNode&)>
Value list(const JsonNode& node) {
  Value out{.kind = Kind::kList};
  for (const JsonNode& element : node.elements()) out.items.push_back(Element(element));
  return out;
}

Value none(const JsonNode&) { return {}; }

constexpr std::pair<std::string_view, Value (*)(const JsonNode&)> kReaders[] = {
    {"as_none", none},
    {"as_tensor", name},
    {"as_tensors", list<name>},
    {"as_int", integer},
    {"as_ints", list<integer>},
    {"as_float", real},
    {"as_floats", list<real>},
    {"as_string", string},
    {"as_strings", list<string>},
    {"as_sym_int", symbolic<integer>},
    {"as_sym_ints", list<symbolic<integer>>},
    {"as_sym_float", symbolic<real>},
    {"as_sym_floats", list<symbolic<real>>},
    {"as_sym_bool", symbolic<boolean>},
    {"as_sym_bools", list<symbolic<boolean>>},
    {"as_scalar_type", dtype},
    {"as_memory_format", memory_format},
    {"as_layout", layout},
    {"as_device", device},
    {"as_bool", boolean},
    {"as_bools", list<boolean>},
    {"as_optional_tensor", optional_tensor},
    {"as_optional_tensors", list<optional_tensor>},
    {"as_nested_tensors", list<list<name>>},
    {"as_int_lists", list<list<integer>>},
    {"as_float_lists", list<list<real>>},
};

}  // namespace

DType dtype_from(const JsonNode& node) {
  switch (node.integer(0)) {
    case 1: return DType::kUInt8;
    case 2: return DType::kInt8;
    case 3: return DType::kInt16;
    case 4: return DType::kInt32;
    case 5: return DType::kInt64;
    case 6: return DType::kFloat16;
    case 7: return DType::kFloat32;
    case 8: return DType::kFloat64;
    case 12: return DType::kBool;
    case 13: return DType::kBFloat16;
    default: break;
  }
  throw Error(ErrorCode::kUnsupported, cat("a tensor of the schema's dtype ", node.integer(0),
                                           "; bool, uint8, int8 to int64, bfloat16 and float16 to float64 are supported"));
}

Value value_from(const JsonNode& node) {
  const auto [kind, value] = node.only_field();
  for (const auto& [reader_kind, read] : kReaders) {
    if (kind == reader_kind) return read(value);
  }
  throw Error(ErrorCode::kUnsupported, cat("an argument of kind ", quoted(kind), " is not supported"));
}

}  // namespace portfire::exported
