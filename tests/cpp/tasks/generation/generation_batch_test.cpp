#include "tasks/generation/generation_batch.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>

#include <portfire/error.h>

#include "sums.h"

namespace portfire {
namespace {

using test::Sums;
using Ids = std::vector<std::int64_t>;

struct Request {
  Ids prompt;
  GenerateOptions options;
};

/// Of every kind, some longer and some that end early.
std::vector<Request> requests(std::size_t count) {
  std::mt19937 random(7);
  const auto draw = [&](std::int64_t most) { return static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(most)); };
  std::vector<Request> all;
  for (std::size_t k = 0; k < count; ++k) {
    Request one;
    for (std::int64_t token = 0; token <= draw(9); ++token) one.prompt.push_back(draw(test::kVocabulary));
    one.options.max_new_tokens = 1 + draw(20);
    switch (k % 4) {
      case 1:
        one.options.temperature = 2;
        one.options.num_sequences = 1 + draw(3);
        one.options.seed = k;
        break;
      case 2: one.options.num_beams = 2 + draw(3); break;
      case 3: one.options.stop = {"7"}; break;
      default: break;
    }
    all.push_back(std::move(one));
  }
  return all;
}

/// All that wait join as soon as there is room.
std::vector<Generation> write_together(const Sums& sums, const std::vector<Request>& all, std::int64_t rows) {
  GenerationBatch batch(sums.engine, sums.manifest, rows, 100);
  std::vector<std::shared_ptr<Writing>> writings;
  for (const Request& one : all) writings.push_back(sums.writing(one.prompt, one.options));
  std::size_t next = 0;
  std::size_t ended = 0;
  while (ended < all.size()) {
    while (next < all.size() && batch.takes(*writings[next])) batch.join(writings[next++]);
    for (const GenerationBatch::Progress& progress : batch.step()) {
      EXPECT_FALSE(progress.error);
      ended += progress.ended ? 1U : 0U;
    }
    EXPECT_LE(batch.rows(), rows);
  }
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.rows(), 0);
  std::vector<Generation> texts;
  for (const auto& writing : writings) texts.push_back(writing->result());
  return texts;
}

TEST(GenerationBatch, ATextDoesNotDependOnWhoSharesTheBatch) {
  const Sums sums;
  const std::vector<Request> all = requests(60);
  std::vector<Generation> alone;
  for (const Request& one : all) alone.push_back(sums.write(one.prompt, one.options));
  for (const std::int64_t rows : {5, 6, 16, 200}) {
    const std::vector<Generation> together = write_together(sums, all, rows);
    for (std::size_t k = 0; k < all.size(); ++k) EXPECT_EQ(together[k], alone[k]) << rows << ' ' << k;
  }
}

TEST(GenerationBatch, APromptIsReadBetweenTheStepsOfOthers) {
  const Sums sums;
  GenerationBatch batch(sums.engine, sums.manifest, 3, 2000);
  const std::shared_ptr<Writing> first = sums.writing({1, 2}, {.max_new_tokens = 50});
  const std::shared_ptr<Writing> longer = sums.writing(Ids(91, 1), {.max_new_tokens = 5});
  batch.join(first);
  EXPECT_EQ(batch.step().size(), 1U);
  batch.join(longer);
  batch.join(sums.writing({4}, {.max_new_tokens = 5}));
  sums.engine.forwards.clear();
  EXPECT_EQ(batch.step().size(), 2U);
  EXPECT_EQ(batch.step().size(), 3U);
  EXPECT_EQ(sums.engine.forwards, (std::vector<Dims>{{1, 1}, {1, 91}, {2, 1}, {1, 1}})) << "one prompt a step, in their order";
  EXPECT_EQ(batch.rows(), 3);
}

TEST(GenerationBatch, ALongPromptIsReadInParts) {
  Sums sums(3000);
  GenerationBatch batch(sums.engine, sums.manifest, 2, 3000);
  const std::shared_ptr<Writing> longer = sums.writing(Ids(1101, 1), {.max_new_tokens = 2});
  batch.join(longer);
  EXPECT_TRUE(batch.step().empty());
  EXPECT_TRUE(batch.step().empty());
  EXPECT_EQ(batch.step().size(), 1U);
  EXPECT_EQ(sums.engine.forwards, (std::vector<Dims>{{1, 512}, {1, 512}, {1, 77}}));
  (void)batch.step();
  EXPECT_EQ(longer->result().text(), "12") << "of 1101 and 1102";
}

TEST(GenerationBatch, TakesNoMoreThanThereIsRoomFor) {
  const Sums sums;
  GenerationBatch batch(sums.engine, sums.manifest, 4, 100);
  const std::shared_ptr<Writing> beams = sums.writing({1}, {.num_beams = 3});
  ASSERT_TRUE(batch.takes(*beams));
  batch.join(beams);
  EXPECT_FALSE(batch.takes(*sums.writing({1}, {.num_beams = 2})));
  const std::shared_ptr<Writing> one = sums.writing({1}, {});
  ASSERT_TRUE(batch.takes(*one));
  batch.join(one);
  EXPECT_FALSE(batch.takes(*sums.writing({1}, {})));
  batch.leave(*beams);
  EXPECT_TRUE(batch.takes(*sums.writing({1}, {.num_beams = 3})));
  batch.leave(*beams);  // nothing
  EXPECT_FALSE(batch.takes(*sums.writing({1}, {.num_beams = 4})));
}

TEST(GenerationBatch, WhoLeavesMakesRoomAndHarmsNobody) {
  const Sums sums;
  const std::vector<Request> all = requests(40);
  for (std::uint32_t seed = 0; seed < 8; ++seed) {
    std::mt19937 random(seed);
    GenerationBatch batch(sums.engine, sums.manifest, 9, 100);
    std::map<std::size_t, std::shared_ptr<Writing>> here;
    std::size_t next = 0;
    while (next < all.size() || !here.empty()) {
      while (next < all.size()) {
        const std::shared_ptr<Writing> writing = sums.writing(all[next].prompt, all[next].options);
        if (!batch.takes(*writing)) break;
        batch.join(writing);
        here.emplace(next++, writing);
      }
      if (random() % 3 == 0 && !here.empty()) {
        const auto leaving = std::next(here.begin(), static_cast<std::ptrdiff_t>(random() % here.size()));
        batch.leave(*leaving->second);
        here.erase(leaving);
      }
      for (const GenerationBatch::Progress& progress : batch.step()) {
        if (!progress.ended) continue;
        const auto found = std::find_if(here.begin(), here.end(), [&](const auto& one) { return one.second == progress.writing; });
        ASSERT_NE(found, here.end());
        EXPECT_EQ(progress.writing->result(), sums.write(all[found->first].prompt, all[found->first].options)) << found->first;
        here.erase(found);
      }
    }
  }
}

/// Token 9 makes logits that are no number, and a state that is none.
TEST(GenerationBatch, WhoFailsFailsAlone) {
  const Sums sums(100, [](std::span<const Tensor> inputs) {
    std::vector<NamedTensor> outputs = test::sums(inputs);
    const auto ids = inputs[0].values<std::int64_t>();
    const auto rows = static_cast<std::size_t>(inputs[0].shape()[0]);
    auto* logits = static_cast<float*>(outputs[0].tensor.mutable_data());
    auto* state = const_cast<float*>(static_cast<const float*>(inputs[3].data()));
    for (std::size_t row = 0; row < rows; ++row) {
      if (ids[row * ids.size() / rows] == 9) logits[row * test::kVocabulary] = state[row] = std::numeric_limits<float>::quiet_NaN();
    }
    return outputs;
  });
  GenerationBatch batch(sums.engine, sums.manifest, 3, 100);
  const std::shared_ptr<Writing> good = sums.writing({1, 2}, {.max_new_tokens = 4});
  const std::shared_ptr<Writing> later = sums.writing({4, 5}, {.max_new_tokens = 9});  // 9 is its first token
  const std::shared_ptr<Writing> bad = sums.writing({9}, {.max_new_tokens = 4});
  std::map<const Writing*, std::string> failed;
  for (const std::shared_ptr<Writing>& one : {good, later, bad}) batch.join(one);
  while (!batch.empty()) {
    for (const GenerationBatch::Progress& progress : batch.step()) {
      try {
        if (progress.error) std::rethrow_exception(progress.error);
      } catch (const Error& error) {
        failed[progress.writing.get()] = error.what();
      }
    }
  }
  EXPECT_EQ(good->result().text(), "3624");
  EXPECT_EQ(failed.size(), 2U);
  EXPECT_NE(failed[later.get()].find("no numbers"), std::string::npos);
  EXPECT_NE(failed[bad.get()].find("no numbers"), std::string::npos);
  EXPECT_EQ(sums.write({1, 2}, {.max_new_tokens = 4}).text(), "3624");
}

/// A cache that is no number where a token 9 stood; it weighs in whatever reads past its own tokens.
TEST(GenerationBatch, AHalfReadPromptLeavesNothingBehind) {
  const auto forward = [](std::span<const Tensor> inputs) {
    const auto ids = inputs[0].values<std::int64_t>();
    const auto positions = inputs[1].values<std::int64_t>();
    auto* cache = const_cast<float*>(static_cast<const float*>(inputs[3].data()));
    for (std::size_t k = 0; k < ids.size(); ++k) cache[positions[k]] = ids[k] == 9 ? std::numeric_limits<float>::quiet_NaN() : 0;
    Tensor logits = Tensor::zeros(DType::kFloat32, {1, test::kVocabulary});
    auto* target = static_cast<float*>(logits.mutable_data());
    for (std::int64_t token = 0; token < inputs[3].shape()[1]; ++token) target[1] += 0 * cache[token];
    return std::vector<NamedTensor>{{"logits", logits}};
  };
  Sums sums(2000, forward);
  sums.manifest.methods[0].inputs[3].shape = {{.size = -1, .symbol = "N"}, {.size = -1, .symbol = "T"}};
  GenerationBatch batch(sums.engine, sums.manifest, 1, 2000);
  const std::shared_ptr<Writing> half = sums.writing(Ids(600, 9), {.max_new_tokens = 3});
  batch.join(half);
  EXPECT_TRUE(batch.step().empty());
  batch.leave(*half);
  const std::shared_ptr<Writing> next = sums.writing({1}, {.max_new_tokens = 3});
  batch.join(next);
  while (!batch.empty()) {
    for (const GenerationBatch::Progress& progress : batch.step()) EXPECT_FALSE(progress.error);
  }
  EXPECT_EQ(next->result().sequences[0].finish_reason, "stop");
}

}  // namespace
}  // namespace portfire
