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
#include "archive/exported_weights.h"
#include "archive/json_node.h"
#include "core/text.h"

namespace portfire::exported {
namespace {

using nlohmann::json;

constexpr std::int64_t kSchemaMajor = 8;  // torch/_export/serde/schema.py, SCHEMA_VERSION

std::string model_of(const std::string& method) { return method == "forward" ? "model" : method; }

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

/// The exporter takes 0 and 1 for constants, and writes 2 for the least size of an axis that it was given no range
/// for; PyTorch holds nobody to that (torch/_export/utils.py, "we allow dimensions to be 0/1 at runtime").
constexpr std::int64_t kNoRange = 2;

struct Range {
  std::int64_t least = 1;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

std::map<std::string, Range> read_ranges(const JsonNode& node) {
  std::map<std::string, Range> ranges;
  for (const auto& [symbol, constraint] : node.fields()) {
    Range range;
    if (constraint.has("min_val") && !constraint.at("min_val").is_null()) {
      const std::int64_t least = constraint.at("min_val").integer(std::numeric_limits<std::int64_t>::min());
      range.least = least <= kNoRange ? 1 : least;
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

Graph read_graph(const JsonNode& node);

std::map<std::string, std::vector<std::string>> shapes_of(const JsonNode& tensor_values) {
  std::map<std::string, std::vector<std::string>> shapes;
  for (const auto& [name, meta] : tensor_values.fields()) {
    meta.require({"sizes"});
    std::vector<std::string>& shape = shapes[name];
    for (const JsonNode& size : meta.at("sizes").elements()) {
      const auto [kind, value] = size.only_field();
      if (kind != "as_int") value.require({"expr_str"});
      shape.push_back(kind == "as_int" ? cat(value.integer(0)) : value.at("expr_str").string());
    }
  }
  return shapes;
}

Value argument_from(const JsonNode& node) {
  const auto [kind, value] = node.only_field();
  if (kind != "as_graph") return value_from(node);
  value.require({"graph"});
  return {.kind = Value::Kind::kGraph, .graph = std::make_shared<const Graph>(read_graph(value.at("graph")))};
}

Node read_node(const JsonNode& node, Names& names) {
  node.require({"target", "inputs", "outputs"});
  Node out{.name = {}, .target = node.at("target").string(), .arguments = {}, .outputs = {}};
  if (node.has("name") && node.at("name").is_string()) out.name = node.at("name").string();
  for (const JsonNode& argument : node.at("inputs").elements()) {
    argument.require({"name", "arg"});
    out.arguments.push_back({argument.at("name").string(), argument_from(argument.at("arg"))});
    names.require(out.arguments.back().value, argument);
  }
  for (const JsonNode& output : node.at("outputs").elements()) {
    out.outputs.push_back(value_from(output));
    names.add(out.outputs.back());
  }
  return out;
}

/// A branch, or the body of a loop: it knows its inputs only.
Graph read_graph(const JsonNode& node) {
  node.require({"inputs", "outputs", "nodes"});
  Graph graph;
  Names names;
  for (const JsonNode& input : node.at("inputs").elements()) {
    const Value value = value_from(input);
    if (value.kind != Value::Kind::kName) input.fail("an input of a branch or a loop is not a name");
    graph.inputs.push_back(value.text);
    names.add(value);
  }
  for (const JsonNode& one : node.at("nodes").elements()) graph.nodes.push_back(read_node(one, names));
  for (const JsonNode& output : node.at("outputs").elements()) {
    graph.outputs.push_back(value_from(output));
    names.require(graph.outputs.back(), output);
  }
  return graph;
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
  Reader(const Archive& archive, const JsonNode& root, const std::string& method) : archive_(archive), root_(root), method_(method) {}

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
    const std::string name = model_of(method_);
    read_weights(archive_, "data/weights/", name + "_weights_config.json", weights_);
    read_weights(archive_, "data/constants/", name + "_constants_config.json", weights_);
    read_inputs(module, graph.at("tensor_values"));
    for (const JsonNode& node : graph.at("nodes").elements()) program_.graph.nodes.push_back(read_node(node, names_));
    program_.graph.shapes = shapes_of(graph.at("tensor_values"));
    read_outputs(module.at("signature").at("output_specs"));
    if (root_.has("guards_code")) read_conditions(root_.at("guards_code"));
    return std::move(program_);
  }

 private:
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(ErrorCode::kUnsupported, cat(archive_.path(), ": ", what));
  }

  void read_inputs(const JsonNode& module, const JsonNode& tensor_values) {
    program_.signature.name = method_;
    for (const JsonNode& spec : module.at("signature").at("input_specs").elements()) {
      const auto [kind, node] = spec.only_field();
      if (kind == "user_input" || kind == "constant_input") ++user_inputs_;
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
        unsupported(cat("an input of kind ", quoted(kind), "; tensors and numbers are supported"));
      }
    }
    const std::vector<std::string> names = argument_names(module.at("module_call_graph"));
    if (names.size() != user_inputs_) return;
    for (std::size_t k = 0; k < places_.size(); ++k) program_.signature.inputs[k].name = names[places_[k]];
    for (std::size_t k = 0; k < names.size(); ++k) {
      if (std::find(places_.begin(), places_.end(), k) == places_.end()) fixed_.push_back(names[k]);
    }
  }

  void read_user_input(const JsonNode& argument, const JsonNode& tensor_values) {
    const Value value = value_from(argument);
    const auto [kind, node] = argument.only_field();
    if (value.kind == Value::Kind::kList) unsupported("an input that is a list; tensors and numbers are supported");
    if (value.kind != Value::Kind::kName) return;  // the export fixed its value
    TensorSpec spec{.name = value.text, .dtype = {}, .shape = {}, .minimum = {}, .maximum = {}, .layout = {}, .unit = {}, .padding = {}};
    if (kind == "as_tensor") {
      if (!tensor_values.has(value.text)) node.fail(cat(quoted(value.text), " is not among the tensor values"));
      const JsonNode meta = tensor_values.at(value.text);
      meta.require({"dtype", "sizes"});
      spec.dtype = dtype_from(meta.at("dtype"));
      for (const JsonNode& size : meta.at("sizes").elements()) spec.shape.push_back(dimension_of(size, ranges_));
    } else {
      spec.dtype = kind == "as_sym_int" ? DType::kInt64 : kind == "as_sym_float" ? DType::kFloat64 : DType::kBool;
      program_.numbers.push_back(program_.graph.inputs.size());
    }
    program_.signature.inputs.push_back(std::move(spec));
    places_.push_back(user_inputs_ - 1);
    program_.graph.inputs.push_back(value.text);
    names_.add(value);
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
      if (kind == "buffer_mutation" || kind == "user_input_mutation") {  // a call changes nothing (ADR 9)
        program_.changes_state = true;
        continue;
      }
      if (kind != "user_output") unsupported(cat("an output of kind ", quoted(kind), "; plain ones are supported"));
      node.require({"arg"});
      Value value = value_from(node.at("arg"));
      names_.require(value, node);
      program_.graph.outputs.push_back(std::move(value));
    }
    const std::size_t count = program_.graph.outputs.size();
    for (std::size_t k = 0; k < count; ++k) {
      program_.signature.outputs.push_back({.name = count == 1 ? "output" : cat("output_", k), .dtype = {}, .shape = {}, .minimum = {}, .maximum = {}, .layout = {}, .unit = {}, .padding = {}});
    }
  }

  void read_conditions(const JsonNode& node) {
    std::vector<std::string> names;
    for (const TensorSpec& input : program_.signature.inputs) names.push_back(input.name);
    for (const JsonNode& condition : node.elements()) {
      const std::string text = condition.string();
      const bool about_fixed = std::any_of(fixed_.begin(), fixed_.end(), [&](const std::string& name) { return text.find(cat("L['", name, "']")) != std::string::npos; });
      // An example input was a view of some other tensor: what that was like says nothing of this call's.
      const bool about_base = text.find("._base.") != std::string::npos;
      if (!about_fixed && !about_base) program_.conditions.emplace_back(text, names);
    }
  }

  const Archive& archive_;
  const JsonNode& root_;
  const std::string& method_;
  Program program_;
  Names names_;
  std::size_t user_inputs_ = 0;      // with those whose value the export fixed
  std::vector<std::size_t> places_;  // among these, of the inputs that are left
  std::vector<std::string> fixed_;   // the others
  std::map<std::string, Range> ranges_;
  std::map<std::string, Weight> weights_;
};

}  // namespace

std::string record_of(const std::string& method) { return cat("models/", model_of(method), ".json"); }

Program read_program(const Archive& archive, const std::string& method) {
  const std::string record = record_of(method);
  const std::string document = cat(archive.path(), ": ", record);
  const json text = read_json(archive, record, document);
  try {
    return Reader(archive, JsonNode(text, document), method).read();
  } catch (const Error& error) {  // of parts that do not know where they stand
    if (error.code() != ErrorCode::kUnsupported || std::string_view(error.what()).starts_with(archive.path())) throw;
    throw Error(error.code(), cat(document, ": ", error.what()));
  }
}

}  // namespace portfire::exported
