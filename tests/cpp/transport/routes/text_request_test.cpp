#include "transport/routes/text_request.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"

namespace portfire::routes {
namespace {

using test::expect_error;
using Texts = std::vector<std::string>;

void refuses(const std::string& body, ErrorCode code, const std::string& part) {
  SCOPED_TRACE(body.substr(0, 200));
  expect_error([&] { (void)completion_request_of(body); }, code, part);
}

TEST(CompletionRequest, TakesWhatClientsSend) {
  const CompletionRequest request = completion_request_of(
      R"({"model":"m","prompt":"once","n":2,"max_tokens":7,"temperature":0,"top_p":0.5,"top_k":3,"seed":11,"stop":"end","stream":true,"stream_options":{"include_usage":true},"echo":true,)"
      R"("frequency_penalty":0.25,"presence_penalty":0,"logit_bias":{},"logprobs":null,"suffix":null,"user":"u","best_of":2,"unknown":[1]})");
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.prompts, (Texts{"once"}));
  EXPECT_EQ(request.choices, 2);
  EXPECT_EQ(request.options.max_new_tokens, 7);
  EXPECT_EQ(request.options.temperature, 0);
  EXPECT_EQ(request.options.top_p, 0.5);
  EXPECT_EQ(request.options.top_k, 3);
  EXPECT_EQ(request.options.seed, 11U);
  EXPECT_EQ(request.options.stop, (Texts{"end"}));
  EXPECT_EQ(request.options.frequency_penalty, 0.25);
  EXPECT_TRUE(request.stream && request.includes_usage && request.echo);
}

TEST(CompletionRequest, HasOpenAisDefaults) {
  const CompletionRequest request = completion_request_of(R"({"model":"m","prompt":["a","b"]})");
  EXPECT_EQ(request.prompts, (Texts{"a", "b"}));
  EXPECT_EQ(request.choices, 1);
  EXPECT_EQ(request.options.max_new_tokens, 16);
  EXPECT_EQ(request.options.temperature, 1);
  EXPECT_FALSE(request.stream);
  // Without a seed every request has its own.
  EXPECT_NE(completion_request_of(R"({"model":"m","prompt":"a"})").options.seed, completion_request_of(R"({"model":"m","prompt":"a"})").options.seed);
}

TEST(CompletionRequest, RefusesValuesOfAnotherKind) {
  const auto with = [](const std::string& field) { return R"({"model":"m","prompt":"a",)" + field + "}"; };
  refuses(R"({"prompt":"a"})", ErrorCode::kInvalidInput, "model is \"missing\"");
  refuses(R"({"model":7,"prompt":"a"})", ErrorCode::kInvalidInput, "model is \"7\"");
  refuses(R"({"model":"m"})", ErrorCode::kInvalidInput, "prompt is missing");
  refuses(R"({"model":"m","prompt":[]})", ErrorCode::kInvalidInput, "prompt is missing");
  refuses(R"({"model":"m","prompt":[1,2]})", ErrorCode::kInvalidInput, "prompt");
  refuses(R"({"model":"m","prompt":{}})", ErrorCode::kInvalidInput, "prompt");
  refuses(with(R"("temperature":"hot")"), ErrorCode::kInvalidInput, "temperature");
  refuses(with(R"("max_tokens":1.5)"), ErrorCode::kInvalidInput, "max_tokens");
  refuses(with(R"("max_tokens":18446744073709551615)"), ErrorCode::kInvalidInput, "max_tokens");
  refuses(with(R"("stream":1)"), ErrorCode::kInvalidInput, "stream");
  refuses(with(R"("stream_options":[])"), ErrorCode::kInvalidInput, "stream_options");
  refuses(with(R"("stream_options":{"include_usage":"yes"})"), ErrorCode::kInvalidInput, "stream_options.include_usage");
  refuses(with(R"("stop":[1])"), ErrorCode::kInvalidInput, "stop");
  refuses(with(R"("n":0)"), ErrorCode::kInvalidArgument, "n is 0");
  refuses(with(R"("n":-1)"), ErrorCode::kInvalidArgument, "n is -1");
  refuses(with(R"("n":129)"), ErrorCode::kInvalidArgument, "n is 129");
  refuses(with(R"("n":9223372036854775807)"), ErrorCode::kInvalidInput, "n is");
  refuses(with(R"("logprobs":1)"), ErrorCode::kUnsupported, "logprobs");
  refuses(with(R"("presence_penalty":0.5)"), ErrorCode::kUnsupported, "presence_penalty");
  refuses(with(R"("best_of":3)"), ErrorCode::kUnsupported, "best_of");
  refuses(with(R"("logit_bias":{"5":1})"), ErrorCode::kUnsupported, "logit_bias");
}

TEST(CompletionRequest, HasABoundOnItsTexts) {
  const auto prompts = [](int count, int n) {
    std::string all = R"({"model":"m","n":)" + std::to_string(n) + R"(,"prompt":[)";
    for (int k = 0; k < count; ++k) all += k == 0 ? "\"a\"" : ",\"a\"";
    return all + "]}";
  };
  EXPECT_EQ(completion_request_of(prompts(128, 1)).prompts.size(), 128U);
  EXPECT_EQ(completion_request_of(prompts(64, 2)).choices, 2);
  refuses(prompts(129, 1), ErrorCode::kInvalidArgument, "128 texts in all");
  refuses(prompts(65, 2), ErrorCode::kInvalidArgument, "128 texts in all");
  refuses(prompts(10000, 1), ErrorCode::kInvalidArgument, "128 texts in all");
}

TEST(CompletionRequest, RefusesWhatIsNotJson) {
  for (const char* body : {"", "x", "null", "[]", "7", "\"a\"", "{", "{}x", "{\"model\":\"m\",\"prompt\":\"a\"}}", "{\"model\":\"\xff\"}", "{\"model\":\"\\ud800\"}", "{\"n\":1e999}"}) {
    refuses(body, ErrorCode::kInvalidInput, "");
  }
  const std::string good = R"({"model":"m","prompt":"a"})";
  for (std::size_t k = 0; k < good.size(); ++k) refuses(good.substr(0, k), ErrorCode::kInvalidInput, "");
}

TEST(CompletionRequest, RefusesWhatIsDeep) {
  for (const std::size_t depth : {std::size_t{100}, std::size_t{200000}, std::size_t{2000000}}) {
    const std::string open(depth, '[');
    const std::string close(depth, ']');
    refuses(open, ErrorCode::kInvalidInput, "");
    refuses(R"({"model":)" + open + close + "}", ErrorCode::kInvalidInput, "deep");
    refuses(R"({"model":"m","prompt":"a","stream_options":{"more":)" + open + close + "}}", ErrorCode::kInvalidInput, "deep");
    refuses(R"({"model":"m","prompt":"a","unknown":)" + open + close + "}", ErrorCode::kInvalidInput, "deep");
    std::string objects;
    for (std::size_t k = 0; k < depth; ++k) objects += R"({"a":)";
    refuses(R"({"model":)" + objects + "1" + std::string(depth, '}') + "}", ErrorCode::kInvalidInput, "deep");
  }
  // Brackets in texts are text.
  EXPECT_EQ(completion_request_of(R"({"model":"m","prompt":")" + std::string(1000, '[') + R"(\"[["})").prompts[0].size(), 1003U);
}

TEST(GenerateOptions, TakesTritonsParameters) {
  Fields fields(R"({"parameters":{"max_tokens":9,"temperature":0.5,"top_k":2,"top_p":0.25,"min_p":0.125,"repetition_penalty":1.5,"frequency_penalty":0.5,"num_beams":1,"seed":3,"stop":["a","b"]}})");
  Fields parameters = fields.object("parameters");
  const GenerateOptions options = generate_options_of(parameters);
  EXPECT_EQ(options.max_new_tokens, 9);
  EXPECT_EQ(options.temperature, 0.5);
  EXPECT_EQ(options.top_k, 2);
  EXPECT_EQ(options.seed, 3U);
  EXPECT_EQ(options.stop, (Texts{"a", "b"}));
  Fields wrong(R"({"parameters":{"max_new_tokens":"many"}})");
  Fields inner = wrong.object("parameters");
  expect_error([&] { (void)generate_options_of(inner); }, ErrorCode::kInvalidInput, "parameters.max_new_tokens");
}

}  // namespace
}  // namespace portfire::routes
