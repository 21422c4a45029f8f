#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "../../archive/expect_error.h"
#include "transport/wire/infer_json.h"

namespace portfire::wire {
namespace {

using nlohmann::json;
using test::expect_error;
using Values = std::vector<float>;

std::string reply(const InferRequest& request, const std::vector<NamedTensor>& outputs, std::size_t& json_bytes, const std::vector<std::string>& labels = {}) {
  return infer_reply(request, "m", 3, chosen_outputs(request, outputs, labels), json_bytes);
}

json read(const InferRequest& request, const std::vector<NamedTensor>& outputs, const std::vector<std::string>& labels = {}) {
  std::size_t bytes = 0;
  const std::string body = reply(request, outputs, bytes, labels);
  EXPECT_EQ(bytes, body.size());
  return json::parse(body);
}

TEST(InferReply, GivesAllOutputsAsJson) {
  const json got = read({.id = "a\"b\n\xff"}, {{"y", Tensor::copy_of(Values{1, 0.1F, -3}, {1, 3})}, {"z\"", Tensor::copy_of(std::vector<std::int64_t>{-9007199254740993}, {1})}});
  EXPECT_EQ(got["id"], "a\"b\n\xef\xbf\xbd");
  EXPECT_EQ(got["model_name"], "m");
  EXPECT_EQ(got["model_version"], "3");
  ASSERT_EQ(got["outputs"].size(), 2U);
  EXPECT_EQ(got["outputs"][0]["name"], "y");
  EXPECT_EQ(got["outputs"][0]["datatype"], "FP32");
  EXPECT_EQ(got["outputs"][0]["shape"], json::parse("[1,3]"));
  EXPECT_EQ(got["outputs"][0]["data"][1].get<float>(), 0.1F);
  EXPECT_EQ(got["outputs"][1]["name"], "z\"");
  EXPECT_EQ(got["outputs"][1]["data"][0].get<std::int64_t>(), -9007199254740993);
}

TEST(InferReply, LeavesOutAnIdThatWasNotGiven) { EXPECT_FALSE(read({}, {{"y", Tensor::copy_of(Values{1}, {1})}}).contains("id")); }

TEST(InferReply, GivesScalarsAndEmptyTensors) {
  const json got = read({}, {{"s", Tensor::copy_of(Values{4}, Dims{})}, {"e", Tensor::zeros(DType::kFloat32, {0, 2})}});
  EXPECT_EQ(got["outputs"][0]["shape"], json::array());
  EXPECT_EQ(got["outputs"][0]["data"], json::parse("[4.0]"));
  EXPECT_EQ(got["outputs"][1]["shape"], json::parse("[0,2]"));
  EXPECT_EQ(got["outputs"][1]["data"], json::array());
}

TEST(InferReply, GivesEveryDatatype) {
  for (const DType dtype : {DType::kBool, DType::kUInt8, DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64, DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64}) {
    const json got = read({}, {{"y", Tensor::zeros(dtype, {2})}});
    EXPECT_EQ(dtype_of(got["outputs"][0]["datatype"].get<std::string>(), "x"), dtype);
    EXPECT_EQ(got["outputs"][0]["data"].size(), 2U);
  }
  EXPECT_EQ(read({}, {{"y", Tensor::zeros(DType::kBool, {1})}})["outputs"][0]["data"][0], false);
}

TEST(InferReply, StaysJsonWhereAValueIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  std::size_t bytes = 0;
  const std::string body = reply({}, {{"y", Tensor::copy_of(Values{inf, -inf, NAN}, {3})}}, bytes);
  EXPECT_TRUE(json::accept(body)) << body;
}

TEST(InferReply, GivesTheOutputsAskedForInThatOrder) {
  InferRequest request;
  request.outputs = {{.name = "z"}, {.name = "y"}};
  const std::vector<NamedTensor> outputs{{"y", Tensor::copy_of(Values{1}, {1})}, {"z", Tensor::copy_of(Values{2}, {1})}};
  const json got = read(request, outputs);
  EXPECT_EQ(got["outputs"][0]["name"], "z");
  EXPECT_EQ(got["outputs"][1]["name"], "y");
  EXPECT_EQ(got["outputs"].size(), 2U);
  request.outputs = {{.name = "y"}, {.name = "y"}};
  expect_error([&] { read(request, outputs); }, ErrorCode::kInvalidInput, "twice");
  request.outputs = {{.name = "w"}};
  expect_error([&] { read(request, outputs); }, ErrorCode::kInvalidInput, "there is y, z");
}

TEST(InferReply, PutsBinaryOutputsAfterTheJson) {
  InferRequest request;
  request.all_binary = true;
  request.outputs = {{.name = "y"}, {.name = "z", .binary = false}, {.name = "w", .binary = true}};
  const std::vector<NamedTensor> outputs{{"y", Tensor::copy_of(Values{1, 2}, {2})}, {"z", Tensor::copy_of(Values{3}, {1})}, {"w", Tensor::copy_of(std::vector<std::uint8_t>{7}, {1})}};
  std::size_t bytes = 0;
  const std::string body = reply(request, outputs, bytes);
  const json got = json::parse(body.substr(0, bytes));
  EXPECT_EQ(got["outputs"][0]["parameters"]["binary_data_size"], 8);
  EXPECT_FALSE(got["outputs"][0].contains("data"));
  EXPECT_EQ(got["outputs"][1]["data"], json::parse("[3.0]"));
  EXPECT_EQ(got["outputs"][2]["parameters"]["binary_data_size"], 1);
  ASSERT_EQ(body.size() - bytes, 9U);
  EXPECT_EQ(body.back(), 7);
}

TEST(InferReply, TakesTensorsThatDoNotLieInOneRow) {
  const Tensor whole = Tensor::copy_of(Values{1, 2, 3, 4, 5, 6}, {3, 2});
  InferRequest request;
  request.all_binary = true;
  std::size_t bytes = 0;
  const std::string body = reply(request, {{"y", whole.rows(1, 2)}}, bytes);
  EXPECT_EQ(body.size() - bytes, 16U);
  EXPECT_EQ(read({}, {{"y", whole.rows(1, 2)}})["outputs"][0]["data"], json::parse("[3.0,4.0,5.0,6.0]"));
}

TEST(Classification, GivesTheBestClassesOfEachRow) {
  InferRequest request;
  request.outputs = {{.name = "y", .classes = 2}};
  const json got = read(request, {{"y", Tensor::copy_of(Values{0.5F, 3, 2, 9, 9, -1}, {2, 3})}}, {"a", "b"});
  EXPECT_EQ(got["outputs"][0]["datatype"], "BYTES");
  EXPECT_EQ(got["outputs"][0]["shape"], json::parse("[2,2]"));
  EXPECT_EQ(got["outputs"][0]["data"], json::parse(R"(["3:1:b","2:2","9:0:a","9:1:b"])"));
}

TEST(Classification, AsksForNoMoreThanThereAre) {
  InferRequest request;
  request.outputs = {{.name = "y", .classes = std::numeric_limits<std::int64_t>::max()}};
  EXPECT_EQ(read(request, {{"y", Tensor::copy_of(Values{1, 2}, {2})}})["outputs"][0]["shape"], json::parse("[2]"));
  EXPECT_EQ(read(request, {{"y", Tensor::zeros(DType::kFloat32, {0, 2})}})["outputs"][0]["shape"], json::parse("[0,2]"));
  expect_error([&] { read(request, {{"y", Tensor::copy_of(Values{1}, Dims{})}}); }, ErrorCode::kInvalidArgument, "no classes");
  expect_error([&] { read(request, {{"y", Tensor::zeros(DType::kFloat32, {2, 0})}}); }, ErrorCode::kInvalidArgument, "no classes");
}

TEST(Classification, PutsWhatIsNoNumberLast) {
  InferRequest request;
  request.outputs = {{.name = "y", .classes = 9}};
  const json got = read(request, {{"y", Tensor::copy_of(Values{NAN, 1, NAN, 3, -2, NAN, 2, 0, 5}, {9})}});
  EXPECT_THAT(got["outputs"][0]["data"][0].get<std::string>(), testing::EndsWith(":8"));
  EXPECT_THAT(got["outputs"][0]["data"][5].get<std::string>(), testing::EndsWith(":4"));
  EXPECT_THAT(got["outputs"][0]["data"][6].get<std::string>(), testing::EndsWith(":0"));
}

TEST(Classification, OrdersLargeIntegersExactly) {
  InferRequest request;
  request.outputs = {{.name = "y", .classes = 1}};
  const json got = read(request, {{"y", Tensor::copy_of(std::vector<std::int64_t>{9007199254740992, 9007199254740993}, {2})}});
  EXPECT_EQ(got["outputs"][0]["data"][0], "9007199254740993:1");
}

TEST(Classification, PacksItsTextsWhereBytesAreAskedFor) {
  InferRequest request;
  request.outputs = {{.name = "y", .binary = true, .classes = 1}};
  std::size_t bytes = 0;
  const std::string body = reply(request, {{"y", Tensor::copy_of(Values{1, 2}, {2})}}, bytes);
  EXPECT_EQ(body.substr(bytes), std::string("\3\0\0\0", 4) + "2:1");
}

TEST(JobFor, TakesTimeAndUrgency) {
  InferRequest plain;
  EXPECT_EQ(job_for(plain)->deadline, serving::Clock::time_point::max());
  const auto urgency = [](std::int64_t priority) {
    InferRequest request;
    request.priority = priority;
    return job_for(request)->priority;
  };
  EXPECT_GT(urgency(1), urgency(2));
  EXPECT_GT(urgency(2), urgency(1000000));
  EXPECT_GT(urgency(std::numeric_limits<std::int64_t>::max()), urgency(0));
  InferRequest late;
  late.timeout_us = std::numeric_limits<std::int64_t>::max();
  EXPECT_GT(job_for(late)->deadline, serving::Clock::now());
  for (InferRequest bad : {InferRequest{.timeout_us = -1}, InferRequest{.priority = -1}}) {
    expect_error([&] { job_for(bad); }, ErrorCode::kInvalidArgument, "is -1");
  }
}

}  // namespace
}  // namespace portfire::wire
