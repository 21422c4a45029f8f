#include "serving/crew.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/thread_limit.h"
#include "doubler.h"

namespace portfire::serving {
namespace {

using test::Gate;
using namespace std::chrono_literals;

constexpr auto kNever = Clock::time_point::max();

/// One piece after another until `piece` gives kNever.
class Piece final : public Work {
 public:
  explicit Piece(std::function<Clock::time_point(int processors)> piece, bool is_long = false) : piece_(std::move(piece)), long_(is_long) {}
  Clock::time_point step(int processors) noexcept override { return piece_(processors); }
  bool is_long() const noexcept override { return long_; }

 private:
  std::function<Clock::time_point(int)> piece_;
  const bool long_;
};

std::shared_ptr<Work> once(std::function<void(int)> what, bool is_long = false) {
  return std::make_shared<Piece>([what = std::move(what)](int processors) { what(processors); return kNever; }, is_long);
}

TEST(Crew, DoesPiecesInTheOrderOfAsking) {
  Gate first;
  Gate last;
  std::string order;
  Crew crew(1);
  crew.post(once([&](int) { first.pass(); }));
  first.wait_for(1);
  for (const char name : {'a', 'b', 'c', 'd'}) crew.post(once([&order, name](int) { order += name; }));
  crew.post(once([&](int) { last.pass(); }));
  first.open();
  last.wait_for(1);
  EXPECT_EQ(order, "abcd");
  last.open();
}

TEST(Crew, GivesOthersTheirTurnBetweenPieces) {
  Gate first;
  Gate last;
  std::string order;
  Crew crew(1);
  crew.post(once([&](int) { first.pass(); }));
  first.wait_for(1);
  int left = 3;
  crew.post(std::make_shared<Piece>([&](int) { order += 'p'; return --left > 0 ? Clock::now() : kNever; }));
  crew.post(once([&](int) { order += 'o'; }));
  crew.post(std::make_shared<Piece>([&](int) {
    if (left > 0) return Clock::now() + 1ms;
    last.pass();
    return kNever;
  }));
  first.open();
  last.wait_for(1);
  EXPECT_EQ(order.substr(0, 2), "po");
  EXPECT_EQ(order, "popp");
  last.open();
}

TEST(Crew, UsesAllItsThreads) {
  Gate gate;
  Crew crew(4);
  for (int k = 0; k < 4; ++k) crew.post(once([&](int processors) { EXPECT_EQ(processors, 1); gate.pass(); }));
  gate.wait_for(4);  // all of them at once
  gate.open();
}

TEST(Crew, ALongPieceHasAllProcessorsAndIsAlone) {
  std::atomic<int> running = 0;
  std::atomic<int> wide = 0;
  std::atomic<int> left = 40;
  std::atomic<bool> disturbed = false;
  Gate gate;
  {
    Crew crew(3);
    const auto piece = [&](int processors) {
      const int now = ++running;
      EXPECT_EQ(thread_limit(), processors);
      if (processors == 3) {
        ++wide;
        if (now != 1) disturbed = true;
      }
      std::this_thread::sleep_for(1ms);
      if (processors == 3 && running != 1) disturbed = true;
      --running;
    };
    for (int k = 0; k < 20; ++k) {
      crew.post(once([&](int processors) { piece(processors); if (--left == 0) gate.pass(); }, true));
      std::this_thread::sleep_for(k % 2 == 0 ? 3ms : 0ms);
      crew.post(once([&](int processors) { EXPECT_EQ(processors, 1); piece(processors); if (--left == 0) gate.pass(); }));
    }
    gate.open();
    gate.wait_for(1);
  }
  EXPECT_FALSE(disturbed);
  EXPECT_EQ(left, 0);
}

TEST(Crew, ALongPieceThatIsAloneGetsAllProcessors) {
  Gate gate;
  std::atomic<int> most = 0;
  Crew crew(3);
  std::atomic<int> left = 5;
  crew.post(std::make_shared<Piece>([&](int processors) {
    most = std::max(most.load(), processors);
    // It may begin on another thread than the first; it is alone, so that one takes it some time.
    if (processors == 3 || --left < -100000) { gate.open(); gate.pass(); return kNever; }
    return Clock::now() + 100us;
  }, true));
  gate.wait_for(1);
  EXPECT_EQ(most, 3);
}

TEST(Crew, WhatIsPostedDuringALongPieceIsDoneAfterIt) {
  Gate gate;
  Gate done;
  std::atomic<bool> alone = true;
  Crew crew(3);
  std::atomic<bool> wide = false;
  crew.post(std::make_shared<Piece>([&](int processors) {
    if (processors != 3) return Clock::now() + 100us;
    wide = true;
    gate.pass();
    wide = false;
    return kNever;
  }, true));
  gate.wait_for(1);
  for (int k = 0; k < 3; ++k) crew.post(once([&](int) { if (wide) alone = false; done.pass(); }));
  gate.open();
  done.wait_for(3);  // on all threads at once: each was woken
  done.open();
  EXPECT_TRUE(alone);
}

TEST(Crew, StartsNoPieceBeforeItsTime) {
  Gate gate;
  Crew crew(2);
  const auto start = Clock::now() + 30ms;
  Clock::time_point began;
  crew.post(once([&](int) { began = Clock::now(); gate.open(); gate.pass(); }), start);
  gate.wait_for(1);
  EXPECT_GE(began, start);
}

TEST(Crew, ADelayedPieceStartsThoughAThreadIsBusyWithAnother) {
  // One thread takes the first of two delayed pieces and keeps it; another must be up for the second.
  Gate first;
  Gate second;
  Crew crew(2);
  std::this_thread::sleep_for(20ms);  // both wait for anything at all
  const auto now = Clock::now();
  crew.post(once([&](int) { first.pass(); }), now + 50ms);
  std::this_thread::sleep_for(20ms);  // one waits for the first
  crew.post(once([&](int) { second.pass(); }), now + 60ms);
  first.wait_for(1);
  second.wait_for(1);  // or the test never ends
  first.open();
  second.open();
}

TEST(Crew, AnEarlierPieceOvertakesADelayedOne) {
  Gate gate;
  Crew crew(1);
  std::string order;
  crew.post(once([&](int) { order += 'l'; gate.open(); gate.pass(); }), Clock::now() + 50ms);
  crew.post(once([&](int) { order += 'e'; }));
  gate.wait_for(1);
  EXPECT_EQ(order, "el");
}

TEST(Crew, EndsAfterWhatRunsAndDropsWhatWaits) {
  auto dropped = std::make_shared<int>(0);
  Gate gate;
  std::atomic<bool> ended = false;
  std::atomic<int> done = 0;
  std::thread opener;
  {
    Crew crew(1);
    crew.post(once([&](int) { gate.pass(); ended = true; }));
    gate.wait_for(1);
    crew.post(once([&, dropped](int) { ++done; }));
    crew.post(once([&, dropped](int) { ++done; }), Clock::now() + 1h);
    // The piece ends only while the crew does.
    opener = std::thread([&gate] { std::this_thread::sleep_for(20ms); gate.open(); });
  }
  opener.join();
  EXPECT_TRUE(ended);
  EXPECT_LE(done, 1);  // where the piece ended before the crew was asked to
  EXPECT_EQ(dropped.use_count(), 1);
}

TEST(Crew, EndsWhileItsThreadsWait) {
  for (int k = 0; k < 20; ++k) {
    Crew idle(3);
    Crew delayed(3);
    delayed.post(once([](int) { FAIL(); }), Clock::now() + 1h);
  }
}

TEST(Crew, LosesNothingThatManyThreadsPost) {
  std::atomic<int> done = 0;
  Gate all;
  constexpr int kEach = 500;
  Crew crew(4);
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&, k] {
      for (int j = 0; j < kEach; ++j) {
        const auto when = j % 3 == 0 ? Clock::now() + std::chrono::microseconds(j) : Clock::time_point::min();
        crew.post(once([&](int) { if (++done == 4 * kEach) { all.open(); all.pass(); } }, (j + k) % 5 == 0), when);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  all.wait_for(1);
  EXPECT_EQ(done, 4 * kEach);
}

TEST(Crew, HasAtLeastOneThread) {
  Gate gate;
  Crew crew(0);
  EXPECT_EQ(crew.processors(), 1);
  gate.open();
  crew.post(once([&](int) { gate.pass(); }));
  gate.wait_for(1);
}

}  // namespace
}  // namespace portfire::serving
