#include "transport/routes/text_request.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"

namespace portfire::routes {
namespace {

using test::expect_error;
using Texts = std::vector<std::string>;

TEST(Fields, KnowWhatNobodyAskedFor) {
  Fields fields(R"({"a":1,"b":"x","c":null,"d":0})");
  EXPECT_EQ(fields.whole("a", 0), 1);
  expect_error([&] { fields.refuse_others(); }, ErrorCode::kUnsupported, "\"b\": is not known here");
  EXPECT_TRUE(fields.is_text("b"));
  expect_error([&] { fields.refuse_others(); }, ErrorCode::kUnsupported, "\"d\": is not known here");
  fields.ignore({"d", "e"});
  fields.refuse_others();
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
