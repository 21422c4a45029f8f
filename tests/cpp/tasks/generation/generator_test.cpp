#include "tasks/generation/generator.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../../archive/expect_error.h"
#include "sums.h"
#include "tasks/generation/logits.h"

namespace portfire {
namespace {

using test::kVocabulary;
using test::Sums;
using Ids = std::vector<std::int64_t>;

TEST(Generator, ReadsThePromptInOneCallAndGoesOnTokenByToken) {
  const Sums sums;
  const Generation generation = sums.write({1, 2}, {.max_new_tokens = 4});
  EXPECT_EQ(generation.text(), "3624");  // 3, 3+3, 6+6, 12+2
  EXPECT_EQ(generation.sequences[0].ids, (Ids{3, 6, 2, 4}));
  EXPECT_EQ(generation.sequences[0].finish_reason, "length");
  EXPECT_EQ(generation.sequences[0].log_probabilities.size(), 4U);
  EXPECT_EQ(sums.engine.forwards, (std::vector<Dims>{{1, 2}, {1, 1}, {1, 1}, {1, 1}}));
}

TEST(Generator, EndsAtAStopTokenWithoutItsText) {
  const Generation generation = Sums().write({5, 5}, {});
  EXPECT_EQ(generation.text(), "");
  EXPECT_EQ(generation.sequences[0].ids, Ids{0});
  EXPECT_EQ(generation.sequences[0].finish_reason, "stop");
  EXPECT_EQ(Sums().write({1, 2}, {.stop_tokens = {6}}).sequences[0].ids, (Ids{3, 6}));
}

TEST(Generator, EndsBeforeAStopString) {
  const Generation generation = Sums().write({1, 2}, {.stop = {"62"}});
  EXPECT_EQ(generation.text(), "3");
  EXPECT_EQ(generation.sequences[0].finish_reason, "stop");
}

TEST(Generator, EndsWhereTheContextDoes) {
  const Generation generation = Sums(5).write({1, 2}, {});
  EXPECT_EQ(generation.sequences[0].ids, (Ids{3, 6, 2}));
  EXPECT_EQ(generation.sequences[0].finish_reason, "length");
  EXPECT_EQ(Sums(5).write({1, 2}, {.max_new_tokens = std::numeric_limits<std::int64_t>::max()}).sequences[0].ids, (Ids{3, 6, 2}));
  EXPECT_EQ(Sums(2).write({1, 2}, {}).sequences[0].ids, Ids{3}) << "a prompt that fills it has one token after it";
}

TEST(Generator, GivesTheTextAsItComes) {
  const Sums sums;
  Generator generator = sums.start({1, 2}, {.max_new_tokens = 3, .stop = {"6x"}});
  std::vector<std::string> parts;
  bool goes_on = true;
  while (goes_on) {
    goes_on = generator.step();
    parts.push_back(generator.take_text());
  }
  EXPECT_EQ(parts, (std::vector<std::string>{"3", "", "62"})) << "6 may begin a stop string";
}

TEST(Generator, CancellingEndsWithWhatWasSaid) {
  const Sums sums;
  Generator generator = sums.start({1, 2}, {});
  EXPECT_TRUE(generator.step());
  generator.cancel();
  EXPECT_FALSE(generator.step());
  EXPECT_EQ(generator.result().text(), "3");
  EXPECT_EQ(generator.result().sequences[0].finish_reason, "cancelled");
  EXPECT_EQ(sums.engine.forwards.size(), 1U);
}

TEST(Generator, TextsOfOnePromptGoOnTogetherAndLeaveWhenTheyEnd) {
  const Sums sums;
  const GenerateOptions options{.max_new_tokens = 30, .temperature = 3, .num_sequences = 5, .seed = 4};
  const Generation together = sums.write({1, 2}, options);
  ASSERT_EQ(together.sequences.size(), 5U);
  std::size_t longest = 0;
  for (const GeneratedText& text : together.sequences) {
    longest = std::max(longest, text.ids.size());
    EXPECT_TRUE(text.finish_reason == "length" || text.ids.back() == 0);
  }
  EXPECT_EQ(sums.engine.forwards.size(), longest);
  EXPECT_LT(sums.engine.forwards.back()[0], 5) << "rows that ended are not computed any more";
  for (std::size_t k = 1; k < sums.engine.forwards.size(); ++k) {
    const auto here = static_cast<std::int64_t>(std::count_if(together.sequences.begin(), together.sequences.end(), [&](const GeneratedText& text) { return text.ids.size() > k; }));
    EXPECT_EQ(sums.engine.forwards[k], (Dims{here, 1}));
  }
}

/// Each row's state follows it when others leave: the log-probabilities are those that the same ids have alone.
TEST(Generator, ARowKeepsItsStateWhenOthersLeave) {
  const Sums sums;
  const Generation together = sums.write({1, 2}, {.max_new_tokens = 30, .temperature = 3, .num_sequences = 5, .seed = 4});
  for (const GeneratedText& text : together.sequences) {
    std::int64_t sum = 3;
    for (std::size_t k = 0; k < text.ids.size(); ++k) {
      const bool expected = text.ids[k] == sum % kVocabulary;
      const double likely = 1 - std::log(std::exp(1.0) + 9);
      EXPECT_NEAR(text.log_probabilities[k], expected ? likely : likely - 1, 1e-6) << k;
      sum += text.ids[k];
    }
  }
}

TEST(Generator, ScoresATextAsItWouldBeWritten) {
  const Sums sums;
  const Tensor logits = score(sums.engine, sums.manifest, Ids{1, 2, 3, 6, 9});
  EXPECT_EQ(logits.shape(), (Dims{4, kVocabulary}));
  const auto values = logits.values<float>();
  for (const auto& [row, digit] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {1, 3}, {2, 6}, {3, 2}}) {
    EXPECT_EQ(values[row * kVocabulary + digit], 1) << row;
  }
  EXPECT_EQ(sums.engine.forwards, (std::vector<Dims>{{1, 2}, {1, 1}, {1, 1}}));
}

TEST(Generator, RefusesAStopTokenThatThereIsNot) {
  test::expect_error([] { (void)Sums().start({1}, {.stop_tokens = {10}}); }, ErrorCode::kInvalidArgument, "stop token 10; sums has 0 to 9");
}

TEST(Generator, NamesLogitsOfAnotherShape) {
  Sums sums;
  sums.manifest.methods[0].outputs[0].shape[1].size = 11;
  test::expect_error([&] { (void)sums.write({1}, {}); }, ErrorCode::kInvalidPackage, "sums: forward gave float32 [1, 10]");
}

}  // namespace
}  // namespace portfire
