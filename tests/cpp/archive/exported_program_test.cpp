#include "archive/exported_program.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "archive/exported_value.h"
#include "expect_error.h"
#include "raw_zip.h"

#include <nlohmann/json.hpp>

namespace portfire::exported {
namespace {

using nlohmann::json;
using test::expect_error;
using test::record;
using Kind = Value::Kind;

/// A program of torch.export: relu_(linear(x, w)), x float32 [N, 4] with N up to 512, w float32 [2, 4].
struct Documents {
  json program;
  json weights;

  Documents() {
    std::ifstream file(PORTFIRE_TEST_DATA "/../fuzz/corpus/exported_program/linear", std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    const std::string both = text.str();
    const auto end = both.find('\0');
    program = json::parse(both.substr(0, end));
    weights = json::parse(both.substr(end + 1));
  }

  json& graph() { return program["graph_module"]["graph"]; }
  json& weight() { return weights["config"]["w"]; }

  [[nodiscard]] Program read(std::size_t weight_bytes = 32) const {
    test::RawZip zip;
    zip.entries.push_back(record("m/models/model.json", program.dump()));
    zip.entries.push_back(record("m/data/weights/model_weights_config.json", weights.dump()));
    zip.entries.push_back(record("m/data/weights/weight_0", std::string(weight_bytes, '\1')));
    return read_program(Archive::from_bytes(zip.bytes(), "m.pt2"), "forward");
  }
};

void expect_refused(const Documents& documents, ErrorCode code, const std::string& part) {
  expect_error([&] { (void)documents.read(); }, code, part);
}

constexpr auto kInvalid = ErrorCode::kInvalidPackage;

TEST(ReadProgram, TakesOverInputsWeightsNodesAndOutputs) {
  const Program program = Documents().read();
  ASSERT_EQ(program.signature.inputs.size(), 1U);
  const TensorSpec& x = program.signature.inputs[0];
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(x.dtype, DType::kFloat32);
  ASSERT_EQ(x.shape.size(), 2U);
  EXPECT_EQ(x.shape[0].least, 1);
  EXPECT_EQ(x.shape[0].most, 512);
  EXPECT_EQ(x.shape[1].size, 4);
  ASSERT_EQ(program.weights.size(), 1U);
  EXPECT_EQ(program.weights[0].record, "data/weights/weight_0");
  EXPECT_EQ(program.weights[0].shape, (Dims{2, 4}));
  EXPECT_TRUE(program.weights[0].is_parameter);
  ASSERT_EQ(program.graph.nodes.size(), 2U);
  EXPECT_EQ(program.graph.nodes[0].target, "torch.ops.aten.linear.default");
  EXPECT_EQ(program.graph.nodes[0].arguments[1].value.text, program.weights[0].value);
  EXPECT_EQ(program.graph.outputs.at(0).text, program.graph.nodes[1].outputs.at(0).text);
}

TEST(ReadProgram, HoldsWeightsAgainstTheirRecords) {
  expect_error([] { (void)Documents().read(31); }, kInvalid, "leaves its record \"data/weights/weight_0\" of 31 bytes");
  Documents far;
  far.weight()["tensor_meta"]["strides"] = json::parse(R"([{"as_int": 9223372036854775807}, {"as_int": 1}])");
  expect_refused(far, kInvalid, "leaves its record");
  Documents late;
  late.weight()["tensor_meta"]["storage_offset"]["as_int"] = std::int64_t{9223372036854775807};
  expect_refused(late, kInvalid, "leaves its record");
  Documents empty;
  empty.weight()["tensor_meta"]["sizes"] = json::parse(R"([{"as_int": 0}, {"as_int": 4}])");
  EXPECT_EQ(empty.read(0).weights.at(0).shape, (Dims{0, 4}));
  Documents pickled;
  pickled.weight()["use_pickle"] = true;
  expect_refused(pickled, ErrorCode::kUntrustedPackage, "\"w\" is pickled");
  Documents sparse;
  sparse.weight()["tensor_meta"]["layout"] = 1;
  expect_refused(sparse, kInvalid, "not strided");
}

TEST(ReadProgram, RefusesValuesThatNobodyGives) {
  Documents early;
  std::swap(early.graph()["nodes"][0], early.graph()["nodes"][1]);
  expect_refused(early, kInvalid, "is used before anything gives it");
  Documents output;
  output.program["graph_module"]["signature"]["output_specs"][0]["user_output"]["arg"]["as_tensor"]["name"] = "nobody";
  expect_refused(output, kInvalid, "\"nobody\" is used before anything gives it");
  Documents unnamed;
  unnamed.graph()["nodes"][0].erase("target");
  expect_refused(unnamed, kInvalid, "m.pt2: models/model.json: graph_module.graph.nodes[0]: the field \"target\" is missing");
}

TEST(ReadProgram, NamesWhatItDoesNotSupport) {
  constexpr auto kUnsupported = ErrorCode::kUnsupported;
  Documents complex;
  complex.graph()["nodes"][0]["inputs"][0]["arg"] = json::parse(R"({"as_complex": {"real": 1, "imag": 2}})");
  expect_refused(complex, kUnsupported, "\"as_complex\"");
  Documents dtype;
  dtype.weight()["tensor_meta"]["dtype"] = 10;
  expect_refused(dtype, kUnsupported, "dtype 10");
  Documents token;
  token.program["graph_module"]["signature"]["output_specs"].push_back(json::parse(R"({"token": {"arg": {"name": "t"}}})"));
  expect_refused(token, kUnsupported, "an output of kind \"token\"");
  Documents newer;
  newer.program["schema_version"]["major"] = 9;
  expect_refused(newer, ErrorCode::kVersionMismatch, "schema version 9; 8 is read");
}

TEST(ReadProgram, LeavesOutWhatACallWouldChange) {
  Documents state;
  state.program["graph_module"]["signature"]["output_specs"].push_back(
      json::parse(R"({"buffer_mutation": {"arg": {"name": "relu_"}, "buffer_name": "calls"}})"));
  EXPECT_EQ(state.read().graph.outputs.size(), 1U);
}

TEST(ReadProgram, ReadsBranchesWithNamesOfTheirOwn) {
  Documents branches;
  json branch = {{"inputs", json::parse(R"([{"as_tensor": {"name": "y"}}])")},
                 {"outputs", json::parse(R"([{"as_tensor": {"name": "y"}}])")},
                 {"nodes", json::array()}};
  json& arguments = branches.graph()["nodes"][1]["inputs"];
  arguments.push_back({{"name", ""}, {"arg", {{"as_graph", {{"name", "true"}, {"graph", branch}}}}}});
  const Program program = branches.read();
  const Value& value = program.graph.nodes[1].arguments.back().value;
  ASSERT_EQ(value.kind, Kind::kGraph);
  EXPECT_EQ(value.graph->inputs, std::vector<std::string>{"y"});
  branch["outputs"][0]["as_tensor"]["name"] = "x";  // the program's, not the branch's
  arguments.back()["arg"]["as_graph"]["graph"] = branch;
  expect_refused(branches, kInvalid, "\"x\" is used before anything gives it");
}

TEST(ReadProgram, WritesExpressionsPlainly) {
  Documents documents;
  for (auto& [name, meta] : documents.graph()["tensor_values"].items()) {
    if (name == "x") meta["sizes"][1] = json::parse(R"json({"as_expr": {"expr_str": "2*Symbol('s1', positive=True)"}})json");
  }
  EXPECT_EQ(documents.read().signature.inputs.at(0).shape.at(1).symbol, "2*s1");
}

Value value_of(const std::string& text) {
  static const std::string kName = "m";
  const json document = json::parse(text);
  return value_from(JsonNode(document, kName));
}

TEST(ValueFrom, ReadsEveryKind) {
  EXPECT_EQ(value_of(R"({"as_none": true})").kind, Kind::kNone);
  EXPECT_EQ(value_of(R"({"as_int": -3})").integer, -3);
  EXPECT_EQ(value_of(R"({"as_float": "-Infinity"})").real, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(value_of(R"({"as_bools": [true, false]})").items.at(0).integer, 1);
  EXPECT_EQ(value_of(R"({"as_sym_ints": [{"as_name": "n"}, {"as_int": 2}]})").items.at(0).text, "n");
  EXPECT_EQ(value_of(R"({"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "t"}}]})").items.at(0).kind, Kind::kNone);
  EXPECT_EQ(value_of(R"({"as_int_lists": [[1], [2, 3]]})").items.at(1).items.size(), 2U);
  EXPECT_EQ(value_of(R"({"as_scalar_type": 13})").dtype, DType::kBFloat16);
  EXPECT_EQ(value_of(R"({"as_device": {"type": "cpu", "index": null}})").text, "cpu");
  EXPECT_EQ(value_of(R"({"as_memory_format": 2})").integer, 2);
}

TEST(ValueFrom, RefusesWhatIsNoUnion) {
  expect_error([] { (void)value_of(R"({"as_int": 1, "as_none": true})"); }, kInvalid, "not an object of one field");
  expect_error([] { (void)value_of("[]"); }, kInvalid, "not an object of one field");
  expect_error([] { (void)value_of(R"({"as_int": 1.5})"); }, kInvalid, "whole number");
  expect_error([] { (void)value_of(R"({"as_float": "many"})"); }, kInvalid, "is not a number");
}

}  // namespace
}  // namespace portfire::exported
