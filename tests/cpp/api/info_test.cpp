#include <portfire/model.h>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "packages.h"

namespace portfire {
namespace {

TEST(ModelInfo, WritesEveryFieldOnOneLine) {
  ModelInfo info;
  info.path = "m.pt";
  info.file_bytes = 12;
  info.task = "tensor";
  info.engine = "torchscript";
  info.engine_version = "LibTorch 2.13.0";
  info.threads = 2;
  info.optimization = "freeze";
  info.precision = "packaged";
  info.choice = "asked for";
  info.methods = {{.name = "forward", .arguments = {{"x", "Tensor"}}, .returns = "Tensor", .operators = {"aten::add"}}};
  info.parameters = 3;
  info.parameter_bytes = 12;
  EXPECT_EQ(info.to_json(),
            R"({"path":"m.pt","file_bytes":12,"task":"tensor","engine":"torchscript","engine_version":"LibTorch 2.13.0","choice":"asked for","device":"cpu",)"
            R"("threads":2,"optimization":"freeze","precision":"packaged","parameters":3,"parameter_bytes":12,"methods":[{"name":"forward",)"
            R"("arguments":[{"name":"x","type":"Tensor"}],"returns":"Tensor","operators":["aten::add"]}]})");
}

TEST(Inspect, TellsWhatIsInAPackage) {
  const ModelInfo info = inspect(test::kBrightness);
  EXPECT_EQ(info.path, test::kBrightness + "/1/model.pt");
  EXPECT_EQ(info.task, "image-classification");
  EXPECT_EQ(info.engine_version, "LibTorch " + std::string(torch_version()));
  EXPECT_EQ(info.parameters, 6);
  EXPECT_EQ(info.parameter_bytes, 24);
  EXPECT_EQ(info.optimization, "");
  ASSERT_TRUE(info.manifest.has_value());
  EXPECT_EQ(info.manifest->labels, (std::vector<std::string>{"dark", "grey", "bright"}));
  EXPECT_EQ(info.methods.size(), 3U);
  const auto json = nlohmann::json::parse(info.to_json());
  EXPECT_EQ(json["manifest"]["name"], "brightness");
  EXPECT_FALSE(json.contains("optimization"));
}

TEST(Inspect, TellsWhatIsInTorchScriptFromElsewhere) {
  const ModelInfo info = inspect(test::kTraced);
  EXPECT_EQ(info.task, "tensor");
  EXPECT_FALSE(info.manifest.has_value());
  ASSERT_EQ(info.methods.size(), 1U);
  EXPECT_EQ(info.methods[0].arguments.at(0).name, "x");
  EXPECT_EQ(info.methods[0].operators, (std::vector<std::string>{"aten::add", "aten::mul", "prim::Constant"}));
}

TEST(Model, TellsHowItWasLoaded) {
  const Model model = Model::load(test::kBrightness, {.threads = 1});
  EXPECT_EQ(model.info().optimization, "freeze");
  EXPECT_EQ(model.info().threads, 1);
  EXPECT_EQ(model.info().device, Device{});
}

}  // namespace
}  // namespace portfire
