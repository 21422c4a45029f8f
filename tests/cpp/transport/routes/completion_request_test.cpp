#include "transport/routes/completion_request.h"

#include <gtest/gtest.h>

#include <limits>

#include "../../archive/expect_error.h"

namespace portfire::routes {
namespace {

using test::expect_error;
using Texts = std::vector<std::string>;

void refuses(const std::string& body, ErrorCode code, const std::string& part) {
  SCOPED_TRACE(body.substr(0, 200));
  expect_error([&] { (void)completion_request_of(body); }, code, part);
}

Texts texts_of(const CompletionRequest& request) {
  Texts texts;
  for (const Input& prompt : request.prompts) {
    const std::vector<std::byte> bytes = prompt.read();
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return texts;
}

TEST(CompletionRequest, TakesWhatClientsSend) {
  const CompletionRequest request = completion_request_of(
      R"({"model":"m","prompt":"once","n":2,"max_tokens":7,"temperature":0,"top_p":0.5,"top_k":3,"seed":11,"stop":"end","stream":true,"stream_options":{"include_usage":true},"echo":true,)"
      R"("frequency_penalty":0.25,"presence_penalty":0,"logit_bias":{},"logprobs":null,"suffix":null,"user":"u","best_of":2,"metadata":{"a":"b"},"unknown":null})");
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(texts_of(request), (Texts{"once"}));
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
  EXPECT_EQ(texts_of(request), (Texts{"a", "b"}));
  EXPECT_FALSE(request.log_probabilities.has_value());
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
  refuses(R"({"model":"m"})", ErrorCode::kInvalidInput, "prompt is \"missing\"");
  refuses(R"({"model":"m","prompt":[]})", ErrorCode::kInvalidInput, "prompt is \"[]\"");
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
  refuses(with(R"("logprobs":21)"), ErrorCode::kInvalidArgument, "logprobs is 21; 0 to 20");
  refuses(with(R"("logprobs":-1)"), ErrorCode::kInvalidArgument, "logprobs is -1");
  refuses(with(R"("logprobs":true)"), ErrorCode::kInvalidInput, "logprobs");
  refuses(with(R"("logprobs":0,"echo":true)"), ErrorCode::kUnsupported, "logprobs: is not supported with echo");
  refuses(with(R"("suffix":"s")"), ErrorCode::kUnsupported, "suffix");
  refuses(with(R"("unknown":0)"), ErrorCode::kUnsupported, "\"unknown\": is not known here");
  refuses(with(R"("stream_options":{"more":1})"), ErrorCode::kUnsupported, "stream_options.\"more\": is not known");
  refuses(with(R"("presence_penalty":0.5)"), ErrorCode::kUnsupported, "presence_penalty");
  refuses(with(R"("best_of":3)"), ErrorCode::kUnsupported, "best_of");
  refuses(with(R"("logit_bias":{"5":1})"), ErrorCode::kUnsupported, "logit_bias");
}

TEST(CompletionRequest, TakesTokenIds) {
  const auto ids_of = [](const std::string& prompt) {
    std::vector<std::vector<std::int64_t>> all;
    for (const Input& one : completion_request_of(R"({"model":"m","prompt":)" + prompt + "}").prompts) {
      const auto values = one.tensors().at(0).tensor.values<std::int64_t>();
      all.emplace_back(values.begin(), values.end());
    }
    return all;
  };
  using Lists = std::vector<std::vector<std::int64_t>>;
  EXPECT_EQ(ids_of("[5,6,7]"), (Lists{{5, 6, 7}}));
  EXPECT_EQ(ids_of("[[5,6],[7]]"), (Lists{{5, 6}, {7}}));
  EXPECT_EQ(ids_of("[[]]"), (Lists{{}})) << "the model says that it takes one token at least";
  for (const char* prompt : {R"([5,"a"])", R"(["a",5])", R"([[5],"a"])", R"([[5],6])", R"([5,[6]])", "[[[5]]]", "[1.5]", "[[1.5]]", "[[null]]", "[null]", "[true]", "[[true]]",
                             "[18446744073709551615]", "[{}]", "7", "true", R"(["a",null])"}) {
    refuses(R"({"model":"m","prompt":)" + std::string(prompt) + "}", ErrorCode::kInvalidInput, "prompt is");
  }
}

TEST(CompletionRequest, TakesLogProbabilities) {
  EXPECT_EQ(completion_request_of(R"({"model":"m","prompt":"a","logprobs":0})").log_probabilities, 0);
  EXPECT_EQ(completion_request_of(R"({"model":"m","prompt":"a","logprobs":5})").log_probabilities, 5);
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
  EXPECT_EQ(completion_request_of(R"({"model":"m","prompt":")" + std::string(1000, '[') + R"(\"[["})").prompts[0].read().size(), 1003U);
}

ChatRequest chat_of(const std::string& messages, const std::string& more = "") { return chat_request_of(R"({"model":"m","messages":)" + messages + more + "}"); }

void refuses_chat(const std::string& messages, const std::string& more, ErrorCode code, const std::string& part) {
  SCOPED_TRACE(messages + more);
  expect_error([&] { (void)chat_of(messages, more); }, code, part);
}

constexpr const char* kHello = R"([{"role":"user","content":"hello"}])";

TEST(ChatRequest, TakesWhatClientsSend) {
  const ChatRequest request = chat_of(
      R"([{"role":"developer","content":"be kind"},{"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},)"
      R"({"role":"assistant","content":"yes","refusal":null,"tool_calls":null,"annotations":[]},{"role":"user","content":""}])",
      R"(,"n":2,"max_completion_tokens":7,"max_tokens":9,"temperature":0.5,"stop":["a"],"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3,)"
      R"("response_format":{"type":"text"},"modalities":["text"],"tools":[],"tool_choice":"none","parallel_tool_calls":true,"user":"u","seed":4)");
  EXPECT_EQ(request.messages, (std::vector<ChatMessage>{{"system", "be kind"}, {"user", "one\ntwo"}, {"assistant", "yes"}, {"user", ""}}));
  EXPECT_EQ(request.choices, 2);
  EXPECT_EQ(request.options.max_new_tokens, 7);
  EXPECT_EQ(request.options.seed, 4U);
  EXPECT_EQ(request.log_probabilities, 3);
  EXPECT_TRUE(request.stream && request.includes_usage);
}

TEST(ChatRequest, HasOpenAisDefaults) {
  const ChatRequest request = chat_of(kHello);
  EXPECT_EQ(request.options.max_new_tokens, std::numeric_limits<std::int64_t>::max()) << "as long as the context allows";
  EXPECT_EQ(chat_of(kHello, R"(,"max_tokens":9)").options.max_new_tokens, 9);
  EXPECT_EQ(request.options.temperature, 1);
  EXPECT_FALSE(request.log_probabilities.has_value() || request.stream);
  EXPECT_EQ(chat_of(kHello, R"(,"logprobs":true)").log_probabilities, 0);
  EXPECT_FALSE(chat_of(kHello, R"(,"logprobs":false)").log_probabilities.has_value());
}

TEST(ChatRequest, RefusesMessagesOfAnotherKind) {
  for (const char* messages : {"[]", "null", "{}", "7", R"("hello")", "[7]", "[null]", R"(["hello"])", "[[]]", "[{}]", R"([{"role":"user"}])", R"([{"role":7,"content":"a"}])",
                               R"([{"content":"a"}])", R"([{"role":"user","content":null}])", R"([{"role":"user","content":7}])", R"([{"role":"user","content":[]}])",
                               R"([{"role":"user","content":["a"]}])", R"([{"role":"user","content":[{"text":"a"}]}])", R"([{"role":"user","content":[{"type":"text"}]}])",
                               R"([{"role":"user","content":[{"type":"text","text":7}]}])"}) {
    refuses_chat(messages, "", ErrorCode::kInvalidInput, "messages");
  }
  refuses_chat(R"([{"role":"tool","content":"a"}])", "", ErrorCode::kUnsupported, "messages[0].role is tool; tools are not supported");
  refuses_chat(R"([{"role":"user","content":"a","name":"Ann"}])", "", ErrorCode::kUnsupported, "messages[0].name");
  refuses_chat(R"([{"role":"assistant","content":"a","tool_calls":[{"id":"1"}]}])", "", ErrorCode::kUnsupported, "messages[0].tool_calls");
  refuses_chat(R"([{"role":"user","content":"a","more":1}])", "", ErrorCode::kUnsupported, "messages[0].\"more\": is not known");
  refuses_chat(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])", "", ErrorCode::kUnsupported, "messages[0].content[0].type is \"image_url\"");
}

TEST(ChatRequest, RefusesWhatItDoesNotDo) {
  refuses_chat(kHello, R"(,"tools":[{"type":"function"}])", ErrorCode::kUnsupported, "tools");
  refuses_chat(kHello, R"(,"tool_choice":"required")", ErrorCode::kUnsupported, "tool_choice");
  refuses_chat(kHello, R"(,"functions":[{}])", ErrorCode::kUnsupported, "functions");
  refuses_chat(kHello, R"(,"response_format":{"type":"json_object"})", ErrorCode::kUnsupported, "response_format.type");
  refuses_chat(kHello, R"(,"modalities":["text","audio"])", ErrorCode::kUnsupported, "modalities");
  refuses_chat(kHello, R"(,"logit_bias":{"5":1})", ErrorCode::kUnsupported, "logit_bias");
  refuses_chat(kHello, R"(,"presence_penalty":1)", ErrorCode::kUnsupported, "presence_penalty");
  refuses_chat(kHello, R"(,"echo":true)", ErrorCode::kUnsupported, "\"echo\": is not known");
  refuses_chat(kHello, R"(,"reasoning_effort":"high")", ErrorCode::kUnsupported, "\"reasoning_effort\": is not known");
  refuses_chat(kHello, R"(,"top_logprobs":2)", ErrorCode::kInvalidArgument, "top_logprobs is given and logprobs is not true");
  refuses_chat(kHello, R"(,"logprobs":true,"top_logprobs":21)", ErrorCode::kInvalidArgument, "top_logprobs is 21");
  refuses_chat(kHello, R"(,"logprobs":2)", ErrorCode::kInvalidInput, "logprobs");
  refuses_chat(kHello, R"(,"n":129)", ErrorCode::kInvalidArgument, "n is 129");
}

}  // namespace
}  // namespace portfire::routes
