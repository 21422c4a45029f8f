#include "serving/text_worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <vector>

#include "../archive/expect_error.h"
#include "../tasks/generation/sums.h"

namespace portfire {
namespace {

using test::Sums;
using Ids = std::vector<std::int64_t>;

/// Lets so many calls of `forward` through as it is told to.
class Gate {
 public:
  void open(std::int64_t calls) {
    {
      const std::lock_guard lock(mutex_);
      left_ += calls;
    }
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return left_ > 0; });
    --left_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t left_ = 0;
};

constexpr std::int64_t kAll = 1 << 20;

test::FakeEngine::Body through(Gate& gate) {
  return [&gate](std::span<const Tensor> inputs) {
    gate.pass();
    return test::sums(inputs);
  };
}

TEST(TextWorker, WritesWhatIsWrittenAlone) {
  const Sums sums;
  TextWorker worker(sums.engine, sums.manifest, 16, 100, 100);
  std::vector<std::shared_ptr<Ticket>> tickets;
  for (std::int64_t k = 0; k < 50; ++k) tickets.push_back(worker.submit(sums.writing({1, 1 + k % 7}, {.max_new_tokens = 1 + k})));
  const Sums alone;
  for (std::int64_t k = 0; k < 50; ++k) {
    EXPECT_EQ(tickets[static_cast<std::size_t>(k)]->wait(), alone.write({1, 1 + k % 7}, {.max_new_tokens = 1 + k})) << k;
  }
  const BatcherStats stats = worker.stats();
  EXPECT_EQ(stats.finished, 50);
  EXPECT_EQ(stats.sequences + stats.waiting + stats.cancelled + stats.failed, 0);
  EXPECT_EQ(stats.max_sequences, 16);
  EXPECT_EQ(stats.cache_bytes, 16 * 4);
}

TEST(TextWorker, GivesTheTokensWithThoseThatCouldHaveCome) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 2, 100, 10);
  Prompt prompt = prompt_for(sums.manifest, {1, 2}, {.max_new_tokens = 4}, 100);
  prompt.likeliest = 2;
  const std::shared_ptr<Ticket> ticket = worker.submit(make_writing(std::move(prompt), sums.tokenizer));
  EXPECT_EQ(ticket->take().tokens.size(), 0U);
  std::vector<WrittenToken> tokens;
  const auto take = [&] {
    for (WrittenToken& token : ticket->take().tokens) tokens.push_back(std::move(token));
  };
  gate.open(1);
  EXPECT_EQ(ticket->next(), "3");
  take();
  gate.open(kAll);
  (void)ticket->wait();
  take();
  ASSERT_EQ(tokens.size(), 4U);
  Ids ids;
  for (const WrittenToken& token : tokens) {
    ids.push_back(token.id);
    ASSERT_EQ(token.likeliest.size(), 2U);
    EXPECT_EQ(token.likeliest[0], (LikelyToken{token.id, token.log_probability})) << "the likeliest was taken";
    EXPECT_LT(token.likeliest[1].log_probability, token.log_probability);
  }
  EXPECT_EQ(ids, (Ids{3, 6, 2, 4}));
  EXPECT_EQ(ticket->take().tokens.size(), 0U);
}

TEST(TextWorker, CountsTokens) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 3, 100, 10);
  const std::shared_ptr<Ticket> ticket = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 4}));
  EXPECT_EQ(ticket->count().tokens, 0);
  gate.open(1);
  EXPECT_EQ(ticket->next(), "3");
  EXPECT_EQ(ticket->count().tokens, 1);
  EXPECT_FALSE(ticket->count().ended);
  const std::shared_ptr<Ticket> left = worker.submit(sums.writing({1, 3}, {.max_new_tokens = 90}));
  left->cancel();
  gate.open(kAll);
  (void)ticket->wait();
  (void)left->wait();
  EXPECT_EQ(ticket->count().tokens, 4);
  EXPECT_TRUE(ticket->count().ended && ticket->count().finished);
  EXPECT_TRUE(left->count().ended && !left->count().finished);
  const std::shared_ptr<Ticket> two = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 4, .temperature = 0.01, .num_sequences = 2}));
  (void)two->wait();
  EXPECT_EQ(two->count().tokens, 8);
}

TEST(TextWorker, GivesTheTextAsItComes) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 2, 100, 10);
  const std::shared_ptr<Ticket> ticket = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 4}));
  gate.open(1);
  EXPECT_EQ(ticket->next(), "3");
  gate.open(1);
  EXPECT_EQ(ticket->next(), "6");
  EXPECT_EQ(ticket->first().ids, (Ids{3, 6}));
  EXPECT_EQ(ticket->first().log_probabilities.size(), 2U);
  gate.open(kAll);
  EXPECT_EQ(ticket->wait().text(), "3624");
  EXPECT_EQ(ticket->next(), "24");
  EXPECT_EQ(ticket->next(), std::nullopt);
  EXPECT_EQ(ticket->next(), std::nullopt);
}

TEST(TextWorker, WhoComesFirstIsTakenFirst) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 3, 100, 10);
  const std::shared_ptr<Ticket> one = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 50}));
  gate.open(1);
  EXPECT_EQ(one->next(), "3");
  const std::shared_ptr<Ticket> wide = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 2, .num_beams = 3}));
  const std::shared_ptr<Ticket> small = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 2}));
  gate.open(6);
  while (one->first().ids.size() < 6) std::this_thread::yield();
  EXPECT_EQ(worker.stats().waiting, 2) << "there is room for the third, but it does not overtake";
  EXPECT_TRUE(small->first().ids.empty());
  gate.open(kAll);
  EXPECT_EQ(wide->wait().text(), "36");
  EXPECT_EQ(small->wait().text(), "36");
}

TEST(TextWorker, CancellingFreesThePlaceAtOnce) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 1, 100, 10);
  const std::shared_ptr<Ticket> first = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 90}));
  const std::shared_ptr<Ticket> second = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 2}));
  const std::shared_ptr<Ticket> waits = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 2}));
  gate.open(1);
  EXPECT_EQ(first->next(), "3");
  first->cancel();
  waits->cancel();
  gate.open(4);  // at most the one that runs, and two for the second
  EXPECT_EQ(second->wait().text(), "36");
  EXPECT_EQ(first->wait().sequences[0].finish_reason, "cancelled");
  EXPECT_EQ(waits->wait().sequences[0].finish_reason, "cancelled");
  EXPECT_EQ(waits->wait().text(), "");
  EXPECT_EQ(worker.stats().cancelled, 2);
  first->cancel();  // nothing
  EXPECT_EQ(first->first().finish_reason, "cancelled");
}

TEST(TextWorker, RefusesWhatItCannotTake) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 2, 100, 3);
  test::expect_error([&] { (void)worker.submit(sums.writing({1}, {.num_beams = 3})); }, ErrorCode::kInvalidArgument, "num_beams is 3; this batcher writes 2 texts at once");
  test::expect_error([&] { (void)worker.submit(sums.writing({1}, {.temperature = 1, .num_sequences = 4})); }, ErrorCode::kInvalidArgument, "num_sequences is 4;");
  std::vector<std::shared_ptr<Ticket>> tickets;
  tickets.push_back(worker.submit(sums.writing({1, 2}, {.max_new_tokens = 3, .num_beams = 2})));
  gate.open(1);
  while (worker.stats().sequences == 0) std::this_thread::yield();
  for (int k = 0; k < 3; ++k) tickets.push_back(worker.submit(sums.writing({1, 2}, {.max_new_tokens = 3})));
  test::expect_error([&] { (void)worker.submit(sums.writing({1}, {})); }, ErrorCode::kOverloaded, "3 prompts wait already, of 3 that may");
  gate.open(kAll);
  for (const auto& ticket : tickets) EXPECT_EQ(ticket->wait().text(), "362");
  EXPECT_EQ(worker.submit(sums.writing({1, 2}, {.max_new_tokens = 1}))->wait().text(), "3");
}

TEST(TextWorker, AFailureReachesWhoWaits) {
  std::atomic<bool> fails = false;
  const Sums sums(100, [&](std::span<const Tensor> inputs) {
    if (fails.exchange(false)) throw Error(ErrorCode::kInternal, "out of luck");
    return test::sums(inputs);
  });
  TextWorker worker(sums.engine, sums.manifest, 4, 100, 10);
  fails = true;
  const std::shared_ptr<Ticket> ticket = worker.submit(sums.writing({1, 2}, {}));
  test::expect_error([&] { (void)ticket->wait(); }, ErrorCode::kInternal, "out of luck");
  test::expect_error([&] { (void)ticket->next(); }, ErrorCode::kInternal, "out of luck");
  EXPECT_EQ(worker.submit(sums.writing({1, 2}, {.max_new_tokens = 3}))->wait().text(), "362") << "the others go on";
  EXPECT_EQ(worker.stats().failed, 1);
}

TEST(TextWorker, WhoGivesUpWaitsNoLonger) {
  Gate gate;
  const Sums sums(100, through(gate));
  TextWorker worker(sums.engine, sums.manifest, 1, 100, 10);
  const auto given_up = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 90}));
  int asked = 0;
  EXPECT_FALSE(given_up->wait_unless([&] { return ++asked == 2; })) << "nothing has let a step through yet";
  gate.open(kAll);
  EXPECT_EQ(given_up->wait().sequences[0].finish_reason, "cancelled");
  const auto waited_for = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 3}));
  EXPECT_TRUE(waited_for->wait_unless([] { return false; }));
  EXPECT_EQ(waited_for->wait().text(), "362");
}

TEST(TextWorker, ItsEndCancelsWhatIsLeft) {
  const Sums sums(100, [](std::span<const Tensor> inputs) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return test::sums(inputs);
  });
  std::vector<std::shared_ptr<Ticket>> tickets;
  {
    TextWorker worker(sums.engine, sums.manifest, 2, 100, 10);
    for (int k = 0; k < 5; ++k) tickets.push_back(worker.submit(sums.writing({1, 2}, {.max_new_tokens = 90})));
    EXPECT_EQ(tickets[0]->next(), "3");
  }
  for (const auto& ticket : tickets) EXPECT_EQ(ticket->wait().sequences[0].finish_reason, "cancelled");
}

/// Eight callers join, read along, lose interest or wait; for the thread sanitizer too.
TEST(TextWorker, ManyComeAndGo) {
  const Sums sums;
  const Sums alone;
  const Generation expected = alone.write({1, 2}, {.max_new_tokens = 40});
  TextWorker worker(sums.engine, sums.manifest, 7, 100, 1000);
  std::atomic<int> whole = 0;
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      std::mt19937 random(caller);
      for (int k = 0; k < 60; ++k) {
        const std::shared_ptr<Ticket> ticket = worker.submit(sums.writing({1, 2}, {.max_new_tokens = 40}));
        switch (random() % 4) {
          case 0: ticket->cancel(); break;
          case 1:
            (void)ticket->next();
            ticket->cancel();
            EXPECT_TRUE(expected.text().starts_with(ticket->first().text));  // which waits for the end
            break;
          case 2: {
            std::string text;
            while (const std::optional<std::string> part = ticket->next()) text += *part;
            EXPECT_EQ(text, expected.text());
            ++whole;
            break;
          }
          default:
            EXPECT_EQ(ticket->wait(), expected);
            (void)worker.stats();
            ++whole;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  const BatcherStats stats = worker.stats();
  EXPECT_GE(stats.finished, whole);
  EXPECT_EQ(stats.failed, 0);
}

}  // namespace
}  // namespace portfire
