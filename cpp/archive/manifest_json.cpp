#include "archive/manifest_json.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "archive/json_node.h"
#include "archive/manifest_check.h"
#include "archive/record_name.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::array<std::string_view, 3> kMethods{"preprocess", "forward", "postprocess"};
constexpr std::array kDTypes{DType::kBool,  DType::kUInt8,   DType::kInt8,     DType::kInt16,   DType::kInt32,
                             DType::kInt64, DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64};

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

std::string model_name(const JsonNode& node) {
  const std::string name = node.string();
  const auto rest = [](char c) { return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-'; };
  if (name.empty() || name.size() > 64 || !is_lower_or_digit(name.front()) ||
      !std::all_of(name.begin(), name.end(), rest)) {
    node.fail(cat(quoted(name), " is not a model name; 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", "
                                "of which the first is a letter or a digit"));
  }
  return name;
}

std::string one_of(const JsonNode& node, std::initializer_list<std::string_view> allowed) {
  const std::string value = node.string();
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    std::string list;
    for (const std::string_view name : allowed) list += cat(list.empty() ? "" : ", ", name);
    node.fail(cat(quoted(value), " is not known; one of ", list));
  }
  return value;
}

DType dtype_named(const JsonNode& node, const std::string& name) {
  std::string list;
  for (const DType dtype : kDTypes) {
    if (name_of(dtype) == name) return dtype;
    list += cat(list.empty() ? "" : ", ", name_of(dtype));
  }
  node.fail(cat(quoted(name), " is not a dtype; one of ", list));
}

Dimension dimension(const JsonNode& node) {
  if (!node.is_string()) return {.size = node.integer(0), .symbol = {}};
  const std::string symbol = node.string();
  const auto rest = [](char c) { return is_upper(c) || is_lower_or_digit(c) || c == '_'; };
  if (symbol.empty() || !is_upper(symbol.front()) || !std::all_of(symbol.begin(), symbol.end(), rest)) {
    node.fail(cat(quoted(symbol), " is not a symbol; a capital letter, then letters, digits and \"_\""));
  }
  return {.size = -1, .symbol = symbol};
}

TensorSpec tensor_spec(const JsonNode& node) {
  node.expect_fields({"name", "dtype", "shape"}, {"minimum", "maximum", "layout", "unit", "padding"});
  TensorSpec spec;
  spec.name = node.at("name").string();
  const auto plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '/'; };
  if (spec.name.empty() || !std::all_of(spec.name.begin(), spec.name.end(), plain)) {
    node.at("name").fail(cat(quoted(spec.name), " is not a tensor's name; not empty, without \"/\" and control characters"));
  }
  spec.dtype = dtype_named(node.at("dtype"), node.at("dtype").string());
  const std::vector<JsonNode> shape = node.at("shape").elements();
  if (shape.size() > Dims::kMaxRank) {
    node.at("shape").fail(cat(shape.size(), " axes; at most ", Dims::kMaxRank, " are read"));
  }
  for (const JsonNode& axis : shape) spec.shape.push_back(dimension(axis));
  if (node.has("minimum")) spec.minimum = node.at("minimum").number();
  if (node.has("maximum")) spec.maximum = node.at("maximum").number();
  if (spec.minimum && spec.maximum && *spec.minimum > *spec.maximum) {
    node.fail(cat("minimum ", *spec.minimum, " is greater than maximum ", *spec.maximum));
  }
  if (node.has("layout")) spec.layout = node.at("layout").string();
  if (node.has("unit")) spec.unit = node.at("unit").string();
  if (node.has("padding")) spec.padding = node.at("padding").number();
  return spec;
}

std::vector<TensorSpec> tensor_specs(const JsonNode& node) {
  std::vector<TensorSpec> specs;
  for (const JsonNode& element : node.elements()) specs.push_back(tensor_spec(element));
  if (specs.empty()) node.fail("is empty; at least one tensor");
  return specs;
}

std::vector<MethodSpec> methods(const JsonNode& node) {
  node.expect_fields({"forward"}, {"preprocess", "postprocess"});
  std::vector<MethodSpec> specs;
  for (const std::string_view name : kMethods) {
    if (!node.has(name)) continue;
    const JsonNode method = node.at(name);
    method.expect_fields({"inputs", "outputs"});
    specs.push_back({.name = std::string(name),
                     .inputs = tensor_specs(method.at("inputs")),
                     .outputs = tensor_specs(method.at("outputs"))});
  }
  return specs;
}

std::string file_path(const JsonNode& node, const std::string& path) {
  if (const auto problem = problem_with_path(path); !problem.empty()) {
    node.fail(cat("the path ", quoted(path), " ", problem, "; a relative one with \"/\" is needed"));
  }
  if (path == "manifest.json") node.fail("manifest.json cannot hold its own hash");
  return path;
}

RawInput raw_input(const JsonNode& node) {
  node.require({"kind"});
  RawInput raw{.kind = one_of(node.at("kind"), {"image", "text", "tensor"})};
  if (raw.kind == "text") {
    node.expect_fields({"kind", "tokenizer", "max_bytes", "max_tokens", "longer", "invalid_utf8"});
    raw.tokenizer = file_path(node.at("tokenizer"), node.at("tokenizer").string());
    raw.max_bytes = node.at("max_bytes").integer(1);
    raw.max_tokens = node.at("max_tokens").integer(1);
    raw.truncates = one_of(node.at("longer"), {"refuse", "truncate"}) == "truncate";
    raw.repairs = one_of(node.at("invalid_utf8"), {"refuse", "replace"}) == "replace";
  } else if (raw.kind == "image") {
    node.expect_fields({"kind", "max_pixels"});
    raw.max_pixels = node.at("max_pixels").integer(1);
  } else {
    node.expect_fields({"kind"});
  }
  return raw;
}

GenerationSpec generation(const JsonNode& node) {
  node.expect_fields({"context", "stop_tokens"});
  GenerationSpec spec{.context = node.at("context").integer(1)};
  for (const JsonNode& token : node.at("stop_tokens").elements()) spec.stop_tokens.push_back(token.integer(0));
  return spec;
}

std::vector<Tolerance> tolerances(const JsonNode& node) {
  std::vector<Tolerance> rows;
  for (const auto& [name, row] : node.fields()) {
    row.expect_fields({"atol", "rtol"});
    const Tolerance tolerance{.dtype = dtype_named(node, name), .atol = row.at("atol").number(), .rtol = row.at("rtol").number()};
    if (tolerance.atol < 0 || tolerance.rtol < 0) row.fail("a tolerance is not negative");
    rows.push_back(tolerance);
  }
  return rows;
}

PackagedFile packaged_file(const JsonNode& node, const std::string& path) {
  node.expect_fields({"bytes", "sha256"});
  PackagedFile file{.path = file_path(node, path), .bytes = node.at("bytes").integer(0), .sha256 = node.at("sha256").string()};
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (file.sha256.size() != 64 || !std::all_of(file.sha256.begin(), file.sha256.end(), is_hex)) {
    node.at("sha256").fail(cat(quoted(file.sha256, 64), " is not a SHA-256; 64 lower-case hexadecimal digits"));
  }
  return file;
}

Manifest manifest(const JsonNode& root) {
  root.expect_fields({"format_version", "name", "version", "task", "licence", "description", "raw_input", "methods",
                      "labels", "max_batch", "tolerances", "golden", "files", "provenance"}, {"generation"});
  Manifest made;
  made.name = model_name(root.at("name"));
  made.version = root.at("version").integer(1);
  made.task = one_of(root.at("task"), {"image-classification", "text-classification", "text-generation", "tensor"});
  made.licence = root.at("licence").string();
  if (made.licence.empty()) root.at("licence").fail("is empty; an SPDX name such as \"Apache-2.0\"");
  made.description = root.at("description").string();
  made.raw_input = raw_input(root.at("raw_input"));
  made.methods = methods(root.at("methods"));
  for (const JsonNode& label : root.at("labels").elements()) made.labels.push_back(label.string());
  made.max_batch = root.at("max_batch").integer(1);
  if (root.has("generation")) made.generation = generation(root.at("generation"));
  made.tolerances = tolerances(root.at("tolerances"));
  for (const JsonNode& sample : root.at("golden").elements()) {
    sample.expect_fields({"input", "expected"});
    made.golden.push_back({.input = file_path(sample.at("input"), sample.at("input").string()),
                           .expected = file_path(sample.at("expected"), sample.at("expected").string())});
  }
  for (const auto& [path, file] : root.at("files").fields()) made.files.push_back(packaged_file(file, path));
  made.provenance_json = root.at("provenance").object_text();
  return made;
}

/// The version first: a newer format may name everything else otherwise.
void check_format_version(const nlohmann::json& json, const JsonNode& root, const std::string& name) {
  if (!json.is_object()) root.fail("not a JSON object");
  if (!json.contains("format_version")) root.fail("the field \"format_version\" is missing");
  const std::int64_t version = root.at("format_version").integer(1);
  if (version > kFormatVersion) {
    throw Error(ErrorCode::kVersionMismatch,
                cat(name, ": format_version: ", version, " is newer than ", kFormatVersion,
                    ", the newest that this Portfire reads; install a newer Portfire"));
  }
}

nlohmann::json to_json(const TensorSpec& spec) {
  nlohmann::json shape = nlohmann::json::array();
  for (const Dimension& axis : spec.shape) {
    if (axis.symbol.empty()) {
      shape.push_back(axis.size);
    } else {
      shape.push_back(axis.symbol);
    }
  }
  nlohmann::json json{{"name", spec.name}, {"dtype", name_of(spec.dtype)}, {"shape", std::move(shape)}};
  if (spec.minimum) json["minimum"] = *spec.minimum;
  if (spec.maximum) json["maximum"] = *spec.maximum;
  if (!spec.layout.empty()) json["layout"] = spec.layout;
  if (!spec.unit.empty()) json["unit"] = spec.unit;
  if (spec.padding) json["padding"] = *spec.padding;
  return json;
}

nlohmann::json to_json(const RawInput& raw) {
  nlohmann::json json{{"kind", raw.kind}};
  if (raw.kind == "image") json["max_pixels"] = raw.max_pixels;
  if (raw.kind == "text") {
    json["tokenizer"] = raw.tokenizer;
    json["max_bytes"] = raw.max_bytes;
    json["max_tokens"] = raw.max_tokens;
    json["longer"] = raw.truncates ? "truncate" : "refuse";
    json["invalid_utf8"] = raw.repairs ? "replace" : "refuse";
  }
  return json;
}

nlohmann::json to_json(const std::vector<TensorSpec>& specs) {
  nlohmann::json json = nlohmann::json::array();
  for (const TensorSpec& spec : specs) json.push_back(to_json(spec));
  return json;
}

}  // namespace

Manifest parse_manifest(std::string_view json, const std::string& name) {
  const nlohmann::json document = parse_strict_json(json, name);
  const JsonNode root(document, name);
  check_format_version(document, root, name);
  Manifest made = manifest(root);
  check_manifest(made, name);
  return made;
}

std::string to_json(const Manifest& manifest) {
  nlohmann::json json{{"format_version", manifest.format_version},
                      {"name", manifest.name},
                      {"version", manifest.version},
                      {"task", manifest.task},
                      {"licence", manifest.licence},
                      {"description", manifest.description},
                      {"labels", manifest.labels},
                      {"max_batch", manifest.max_batch},
                      {"provenance", nlohmann::json::parse(manifest.provenance_json)}};
  json["raw_input"] = to_json(manifest.raw_input);
  if (manifest.generation) json["generation"] = {{"context", manifest.generation->context}, {"stop_tokens", manifest.generation->stop_tokens}};
  json["methods"] = nlohmann::json::object();
  for (const MethodSpec& method : manifest.methods) {
    json["methods"][method.name] = {{"inputs", to_json(method.inputs)}, {"outputs", to_json(method.outputs)}};
  }
  json["tolerances"] = nlohmann::json::object();
  for (const Tolerance& row : manifest.tolerances) {
    json["tolerances"][std::string(name_of(row.dtype))] = {{"atol", row.atol}, {"rtol", row.rtol}};
  }
  json["golden"] = nlohmann::json::array();
  for (const GoldenSample& sample : manifest.golden) {
    json["golden"].push_back({{"input", sample.input}, {"expected", sample.expected}});
  }
  json["files"] = nlohmann::json::object();
  for (const PackagedFile& file : manifest.files) {
    json["files"][file.path] = {{"bytes", file.bytes}, {"sha256", file.sha256}};
  }
  return json.dump();
}

}  // namespace portfire
