#include "tasks/generation/beam_search.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "../../archive/expect_error.h"
#include "sums.h"

namespace portfire {
namespace {

using test::Sums;
using Ids = std::vector<std::int64_t>;
using Texts = std::vector<Ids>;

constexpr std::int64_t kTokens = 12;
constexpr std::string_view kLetters =
    R"({"model": {"type": "BPE", "vocab": {"a":0,"b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8,"j":9,"k":10,"l":11}, "merges": []}, "decoder": {"type": "Fuse"}})";

/// What make_beams.py has in the table of a case.
std::vector<float> table_of(std::uint64_t number) {
  std::vector<float> table;
  for (std::uint64_t k = 0; k < kTokens * kTokens; ++k) {
    std::uint64_t hashed = (k + 1000 * (number + 1)) * 2654435761U % (std::uint64_t{1} << 32);
    hashed = (hashed ^ hashed >> 15) * 2246822519U % (std::uint64_t{1} << 32);
    table.push_back(static_cast<float>(static_cast<double>(hashed >> 12) / (1 << 17)));
  }
  return table;
}

/// The logits after token `id` at place `place`.
std::vector<float> logits_of(const std::vector<float>& table, std::int64_t id, std::int64_t place) {
  std::vector<float> logits;
  for (std::int64_t k = 0; k < kTokens; ++k) {
    logits.push_back(table[static_cast<std::size_t>(id * kTokens + k)] + static_cast<float>(8 + place) / 16 * table[static_cast<std::size_t>((id + 3 * place) % kTokens * kTokens + k)]);
  }
  return logits;
}

Texts ids_of(const Generation& generation) {
  Texts texts;
  for (const GeneratedText& text : generation.sequences) texts.push_back(text.ids);
  return texts;
}

/// Follows the rows by hand, without an engine.
Texts search(const std::vector<float>& table, const Ids& prompt, const GenerateOptions& options) {
  const Tokenizer tokenizer = Tokenizer::from_bytes(std::as_bytes(std::span(kLetters)), "letters");
  const Prompt what{.ids = prompt, .options = options, .vocabulary = kTokens, .most_new = options.max_new_tokens};
  const std::unique_ptr<Writing> writing = make_writing(what, tokenizer);
  std::vector<float> logits = logits_of(table, prompt.back(), static_cast<std::int64_t>(prompt.size()) - 1);
  for (auto place = static_cast<std::int64_t>(prompt.size());; ++place) {
    const std::vector<Continuation> rows = writing->advance(logits);
    if (rows.empty()) return ids_of(writing->result());
    EXPECT_LE(static_cast<std::int64_t>(rows.size()), writing->most_rows());
    logits.clear();
    for (const Continuation& row : rows) {
      const std::vector<float> next = logits_of(table, row.token, place);
      logits.insert(logits.end(), next.begin(), next.end());
    }
  }
}

TEST(BeamSearch, FindsWhatTransformersFinds) {
  std::ifstream file(PORTFIRE_TEST_DATA "/beams/searches.json");
  const nlohmann::json all = nlohmann::json::parse(file);
  const std::map<std::string, EarlyStopping> stoppings{{"no", EarlyStopping::kNo}, {"yes", EarlyStopping::kYes}, {"never", EarlyStopping::kNever}};
  ASSERT_GE(all["cases"].size(), 288U);
  for (std::size_t k = 0; k < all["cases"].size(); ++k) {
    const nlohmann::json& one = all["cases"][k];
    GenerateOptions options;
    options.max_new_tokens = one["max_new_tokens"];
    options.repetition_penalty = one["repetition_penalty"];
    options.num_sequences = one["num_sequences"];
    options.num_beams = one["num_beams"];
    options.length_penalty = one["length_penalty"];
    options.early_stopping = stoppings.at(one["early_stopping"]);
    options.stop_tokens = one["stop_tokens"].get<Ids>();
    EXPECT_EQ(search(table_of(k), one["prompt"].get<Ids>(), options), one["texts"].get<Texts>()) << k;
  }
}

TEST(BeamSearch, LeavesAGoodBeginningForABetterWhole) {
  const Sums sums;
  const Generation generation = sums.write({1, 2}, {.max_new_tokens = 4, .num_sequences = 3, .num_beams = 3});
  EXPECT_EQ(generation.text(), "3624") << "a model that is sure is followed";
  EXPECT_EQ(generation.sequences.size(), 3U);
  EXPECT_EQ(generation.sequences[0].finish_reason, "length");
  EXPECT_EQ(generation.sequences[0].log_probabilities.size(), 4U);
  EXPECT_NE(generation.sequences[1].ids, generation.sequences[2].ids);
}

/// Each beam's state follows it: the log-probabilities are those that the same tokens have alone.
TEST(BeamSearch, ABeamTakesItsStateWithIt) {
  const Sums sums;
  const Generation generation = sums.write({1, 2}, {.max_new_tokens = 12, .num_sequences = 6, .num_beams = 6});
  const double likely = 1 - std::log(std::exp(1.0) + 9);
  for (const GeneratedText& text : generation.sequences) {
    std::int64_t sum = 3;
    for (std::size_t k = 0; k < text.ids.size(); ++k) {
      EXPECT_NEAR(text.log_probabilities[k], text.ids[k] == sum % test::kVocabulary ? likely : likely - 1, 1e-6) << k;
      sum += text.ids[k];
    }
  }
}

TEST(BeamSearch, AStopStringFinishesABeam) {
  const Generation generation = Sums().write({1, 2}, {.max_new_tokens = 6, .num_beams = 2, .stop = {"62"}});
  EXPECT_EQ(generation.text(), "3");
  EXPECT_EQ(generation.sequences[0].ids, (Ids{3, 6, 2}));
  EXPECT_EQ(generation.sequences[0].finish_reason, "stop");
}

TEST(BeamSearch, CancellingGivesTheBestSoFar) {
  const Sums sums;
  Generator generator = sums.start({1, 2}, {.num_beams = 3});
  EXPECT_TRUE(generator.step());
  EXPECT_TRUE(generator.step());
  generator.cancel();
  EXPECT_FALSE(generator.step());
  EXPECT_EQ(generator.result().text(), "36");
  EXPECT_EQ(generator.result().sequences[0].finish_reason, "cancelled");
}

TEST(BeamSearch, RefusesOptionsThatContradict) {
  const auto refused = [](const GenerateOptions& options, const std::string& why) {
    test::expect_error([&] { (void)Sums().start({1}, options); }, ErrorCode::kInvalidArgument, why);
  };
  refused({.temperature = 0.5, .num_beams = 4}, "num_beams is 4 and temperature 0.5: beam search does not draw");
  refused({.num_sequences = 5, .num_beams = 4}, "num_sequences is 5; at most num_beams, which is 4");
  refused({.num_beams = 0}, "num_beams is 0; 1 (none) to 64");
  refused({.length_penalty = 2}, "length_penalty and early_stopping are for beam search");
  refused({.num_beams = 2, .length_penalty = std::numeric_limits<double>::infinity()}, "length_penalty is inf; a finite number");
}

}  // namespace
}  // namespace portfire
