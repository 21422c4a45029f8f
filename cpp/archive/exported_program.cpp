#include "archive/exported_program.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "archive/exported_value.h"
#include "archive/json_node.h"
#include "core/text.h"

namespace portfire::exported {
namespace {

using nlohmann::json;

constexpr std::string_view kProgram = "models/model.json";
constexpr std::int64_t kSchemaMajor = 8;  // torch/_export/serde/schema.py, SCHEMA_VERSION

json read_json(const Archive& archive, std::string_view record, const std::string& document) {
  const std::vector<std::byte> bytes = archive.read(record);
  return parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, document);
}

/// "2*Symbol('s77', positive=True, integer=True)" as "2*s77".
std::string plain_expression(std::string text) {
  constexpr std::string_view kSymbol = "Symbol('";
  for (std::size_t at = text.find(kSymbol); at != std::string::npos; at = text.find(kSymbol, at)) {
    const std::size_t quote = text.find('\'', at + kSymbol.size());
    const std::size_t end = quote == std::string::npos ? quote : text.find(')', quote);
    if (end == std::string::npos) break;
    text = text.substr(0, at) + text.substr(at + kSymbol.size(), quote - at - kSymbol.size()) + text.substr(end + 1);
  }
  return text;
}

struct Range {
  std::int64_t least = 1;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

std::map<std::string, Range> read_ranges(const JsonNode& node) {
  std::map<std::string, Range> ranges;
  for (const auto& [symbol, constraint] : node.fields()) {
    Range range;
    if (constraint.has("min_val") && !constraint.at("min_val").is_null()) {
      range.least = std::max<std::int64_t>(1, constraint.at("min_val").integer(std::numeric_limits<std::int64_t>::min()));
    }
    if (constraint.has("max_val") && !constraint.at("max_val").is_null()) range.most = constraint.at("max_val").integer(0);
    ranges[symbol] = range;
  }
  return ranges;
}

Dimension dimension_of(const JsonNode& size, const std::map<std::string, Range>& ranges) {
  const auto [kind, value] = size.only_field();
  if (kind == "as_int") return {.size = value.integer(0), .symbol = {}};
  value.require({"expr_str"});
  Dimension dimension{.size = -1, .symbol = plain_expression(value.at("expr_str").string())};
  const auto range = ranges.find(dimension.symbol);
  if (range != ranges.end()) {
    dimension.least = range->second.least;
    dimension.most = range->second.most;
  }
  return dimension;
}

Dims fixed_dims(const JsonNode& node) {
  std::vector<std::int64_t> sizes;
  for (const JsonNode& element : node.elements()) sizes.push_back(element.only_field("as_int").integer(0));
  return Dims(std::span<const std::int64_t>(sizes));
}

/// One past the last element that the strides reach; -1 where that is no number of elements.
std::int64_t reach(const Dims& shape, const Dims& strides, std::int64_t offset) {
  std::int64_t last = offset;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    std::int64_t step = 0;
    if (shape[axis] == 0) return offset;
    if (__builtin_mul_overflow(shape[axis] - 1, strides[axis], &step) || __builtin_add_overflow(last, step, &last)) return -1;
  }
  return last == std::numeric_limits<std::int64_t>::max() ? -1 : last + 1;
}

void check_extent(const Archive& archive, const Weight& weight, const JsonNode& node) {
  const ArchiveEntry* entry = archive.find(weight.record);
  if (entry == nullptr) node.fail(cat("its record ", quoted(weight.record), " is missing"));
  const std::int64_t elements = reach(weight.shape, weight.strides, weight.offset);
  std::int64_t bytes = 0;
  if (elements < 0 || __builtin_mul_overflow(elements, static_cast<std::int64_t>(size_of(weight.dtype)), &bytes) ||
      static_cast<std::uint64_t>(bytes) > entry->bytes) {
    node.fail(cat("shape ", weight.shape.to_string(), " with strides ", weight.strides.to_string(), " leaves its record ",
                  quoted(weight.record), " of ", entry->bytes, " bytes"));
  }
}

/// The weights of one table, by the module's names.
void read_weights(const Archive& archive, const std::string& folder, std::string_view table,
                  std::map<std::string, Weight>& weights) {
  const std::string record = cat(folder, table);
  if (archive.find(record) == nullptr) return;
  const std::string document = cat(archive.path(), ": ", record);
  const json text = read_json(archive, record, document);
  const JsonNode root(text, document);
  root.require({"config"});
  for (const auto& [name, node] : root.at("config").fields()) {
    node.require({"path_name", "is_param", "use_pickle", "tensor_meta"});
    if (node.at("use_pickle").boolean()) {
      throw Error(ErrorCode::kUntrustedPackage, cat(document, ": ", quoted(name), " is pickled; only raw weights are read"));
    }
    const JsonNode meta = node.at("tensor_meta");
    meta.require({"dtype", "sizes", "strides", "storage_offset", "layout"});
    if (meta.at("layout").integer(0) != kStridedLayout) node.fail("its layout is not strided");
    Weight weight{.value = {},
                  .name = name,
                  .record = cat(folder, node.at("path_name").string()),
                  .dtype = dtype_from(meta.at("dtype")),
                  .shape = fixed_dims(meta.at("sizes")),
                  .strides = fixed_dims(meta.at("strides")),
                  .offset = meta.at("storage_offset").only_field("as_int").integer(0),
                  .is_parameter = node.at("is_param").boolean()};
    if (weight.strides.size() != weight.shape.size()) node.fail("its strides are not as many as its sizes");
    check_extent(archive, weight, node);
    weights[name] = std::move(weight);
  }
}

/// Refuses names that nothing before has given.
class Names {
 public:
  void add(const Value& value) {
    if (value.kind == Value::Kind::kName) known_.insert(value.text);
    for (const Value& item : value.items) add(item);
  }
  void require(const Value& value, const JsonNode& where) const {
    if (value.kind == Value::Kind::kName && !known_.contains(value.text)) {
      where.fail(cat(quoted(value.text), " is used before anything gives it"));
    }
    for (const Value& item : value.items) require(item, where);
  }

 private:
  std::set<std::string> known_;
};

Node read_node(const JsonNode& node, Names& names) {
  node.require({"target", "inputs", "outputs"});
  Node out{.name = {}, .target = node.at("target").string(), .arguments = {}, .outputs = {}};
  if (node.has("name") && node.at("name").is_string()) out.name = node.at("name").string();
  if (out.target.starts_with("torch.ops.higher_order.")) {
    throw Error(ErrorCode::kUnsupported, cat("the operator ", quoted(out.target), " is not supported"));
  }
  for (const JsonNode& argument : node.at("inputs").elements()) {
    argument.require({"name", "arg"});
    out.arguments.push_back({argument.at("name").string(), value_from(argument.at("arg"))});
    names.require(out.arguments.back().value, argument);
  }
  for (const JsonNode& output : node.at("outputs").elements()) {
    out.outputs.push_back(value_from(output));
    names.add(out.outputs.back());
  }
  return out;
}

/// What the module's caller calls the inputs, where the export says so.
std::vector<std::string> argument_names(const JsonNode& calls) {
  for (const JsonNode& call : calls.elements()) {
    if (!call.has("fqn") || call.at("fqn").string() != "" || !call.has("signature")) continue;
    const JsonNode signature = call.at("signature");
    if (signature.is_null() || !signature.has("forward_arg_names") || signature.at("forward_arg_names").is_null()) break;
    std::vector<std::string> names;
    for (const JsonNode& name : signature.at("forward_arg_names").elements()) names.push_back(name.string());
    return names;
  }
  return {};
}

class Reader {
 public:
  Reader(const Archive& archive, const JsonNode& root) : archive_(archive), root_(root) {}

  Program read() {
    root_.require({"graph_module", "schema_version", "range_constraints"});
    root_.at("schema_version").require({"major"});
    const std::int64_t major = root_.at("schema_version").at("major").integer(0);
    if (major != kSchemaMajor) {
      throw Error(ErrorCode::kVersionMismatch, cat(archive_.path(), ": its program has schema version ", major, "; ", kSchemaMajor,
                                                   " is read; export it again with the PyTorch that this was built with"));
    }
    if (root_.has("torch_version")) program_.torch_version = root_.at("torch_version").string();
    const JsonNode module = root_.at("graph_module");
    module.require({"graph", "signature", "module_call_graph"});
    const JsonNode graph = module.at("graph");
    graph.require({"inputs", "outputs", "nodes", "tensor_values"});
    module.at("signature").require({"input_specs", "output_specs"});
    ranges_ = read_ranges(root_.at("range_constraints"));
    read_weights(archive_, "data/weights/", "model_weights_config.json", weights_);
    read_weights(archive_, "data/constants/", "model_constants_config.json", weights_);
    read_inputs(module, graph.at("tensor_values"));
    for (const JsonNode& node : graph.at("nodes").elements()) program_.nodes.push_back(read_node(node, names_));
    read_outputs(module.at("signature").at("output_specs"));
    return std::move(program_);
  }

 private:
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(ErrorCode::kUnsupported, cat(archive_.path(), ": ", what));
  }

  void read_inputs(const JsonNode& module, const JsonNode& tensor_values) {
    program_.signature.name = "forward";
    for (const JsonNode& spec : module.at("signature").at("input_specs").elements()) {
      const auto [kind, node] = spec.only_field();
      if (kind == "user_input") {
        node.require({"arg"});
        read_user_input(node.at("arg"), tensor_values);
      } else if (kind == "parameter") {
        read_weight(node, "parameter_name");
      } else if (kind == "buffer") {
        read_weight(node, "buffer_name");
      } else if (kind == "tensor_constant") {
        read_weight(node, "tensor_constant_name");
      } else if (kind != "constant_input") {  // which the program has within already
        unsupported(cat("an input of kind ", quoted(kind), "; tensors are supported"));
      }
    }
    const std::vector<std::string> names = argument_names(module.at("module_call_graph"));
    if (names.size() != program_.inputs.size()) return;
    for (std::size_t k = 0; k < names.size(); ++k) program_.signature.inputs[k].name = names[k];
  }

  void read_user_input(const JsonNode& argument, const JsonNode& tensor_values) {
    const auto [kind, node] = argument.only_field();
    if (kind != "as_tensor") unsupported(cat("an input of kind ", quoted(kind), "; tensors are supported"));
    node.require({"name"});
    const std::string name = node.at("name").string();
    if (!tensor_values.has(name)) node.fail(cat(quoted(name), " is not among the tensor values"));
    const JsonNode meta = tensor_values.at(name);
    meta.require({"dtype", "sizes"});
    TensorSpec spec{.name = name, .dtype = dtype_from(meta.at("dtype")), .shape = {}, .minimum = {}, .maximum = {}, .layout = {}, .unit = {}};
    for (const JsonNode& size : meta.at("sizes").elements()) spec.shape.push_back(dimension_of(size, ranges_));
    program_.signature.inputs.push_back(std::move(spec));
    program_.inputs.push_back(name);
    names_.add({.kind = Value::Kind::kName, .text = name});
  }

  void read_weight(const JsonNode& node, std::string_view name_field) {
    node.require({"arg", name_field});
    node.at("arg").require({"name"});
    const std::string name = node.at(name_field).string();
    const auto found = weights_.find(name);
    if (found == weights_.end()) node.fail(cat("the weight ", quoted(name), " is missing"));
    Weight weight = found->second;
    weight.value = node.at("arg").at("name").string();
    names_.add({.kind = Value::Kind::kName, .text = weight.value});
    program_.weights.push_back(std::move(weight));
  }

  void read_outputs(const JsonNode& specs) {
    for (const JsonNode& spec : specs.elements()) {
      const auto [kind, node] = spec.only_field();
      if (kind == "buffer_mutation") {
        node.require({"buffer_name"});
        unsupported(cat("it changes its buffer ", quoted(node.at("buffer_name").string()), " with every call; models without state are supported"));
      }
      if (kind != "user_output") unsupported(cat("an output of kind ", quoted(kind), "; plain ones are supported"));
      node.require({"arg"});
      Value value = value_from(node.at("arg"));
      names_.require(value, node);
      program_.outputs.push_back(std::move(value));
    }
    const std::size_t count = program_.outputs.size();
    for (std::size_t k = 0; k < count; ++k) {
      program_.signature.outputs.push_back({.name = count == 1 ? "output" : cat("output_", k), .dtype = {}, .shape = {}, .minimum = {}, .maximum = {}, .layout = {}, .unit = {}});
    }
  }

  const Archive& archive_;
  const JsonNode& root_;
  Program program_;
  Names names_;
  std::map<std::string, Range> ranges_;
  std::map<std::string, Weight> weights_;
};

}  // namespace

Program read_program(const Archive& archive) {
  const std::string document = cat(archive.path(), ": ", kProgram);
  const json text = read_json(archive, kProgram, document);
  try {
    return Reader(archive, JsonNode(text, document)).read();
  } catch (const Error& error) {  // of parts that do not know where they stand
    if (error.code() != ErrorCode::kUnsupported || std::string_view(error.what()).starts_with(archive.path())) throw;
    throw Error(error.code(), cat(document, ": ", error.what()));
  }
}

}  // namespace portfire::exported
