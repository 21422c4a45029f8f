// Modules that remember: one call at a time, whatever way they write to themselves.
#include <gtest/gtest.h>

#include <thread>

#include "scripted.h"

namespace portfire {
namespace {

using test::engine_of;
using test::Scripted;

constexpr int kThreads = 8;
constexpr int kCalls = 200;

/// What forward gives after kThreads * kCalls calls at once, each of which adds one.
float counted(const Scripted& scripted, Optimization level) {
  const auto engine = engine_of(scripted, level);
  const Tensor one = test::floats({1});
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k) {
    threads.emplace_back([&] {
      for (int call = 0; call < kCalls; ++call) (void)engine->forward(std::span(&one, 1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Tensor zero = test::floats({0});
  return engine->forward(std::span(&zero, 1)).at(0).contiguous().values<float>()[0];
}

Scripted counter(const std::string& body) {
  return {"def forward(self, x):\n  " + body + "\n", {}, {{"count", test::floats({0})}}};
}

class Stateful : public testing::TestWithParam<Optimization> {};

TEST_P(Stateful, CountsInPlace) {
  EXPECT_EQ(counted(counter("self.count.add_(x)\n  return self.count.clone()"), GetParam()), kThreads * kCalls);
}

TEST_P(Stateful, CountsByAssignment) {
  EXPECT_EQ(counted(counter("self.count = self.count + x\n  return self.count"), GetParam()), kThreads * kCalls);
}

TEST_P(Stateful, CountsThroughAView) {
  EXPECT_EQ(counted(counter("self.count.view([1]).add_(x)\n  return self.count.clone()"), GetParam()), kThreads * kCalls);
  EXPECT_EQ(counted(counter("c = self.count[0]\n  c += x[0]\n  return self.count.clone()"), GetParam()), kThreads * kCalls);
}

TEST_P(Stateful, CountsInAnotherMethod) {
  const Scripted scripted{"def forward(self, x):\n  return self.add(self.count, x)\n"
                          "def add(self, to, x):\n  to.add_(x)\n  return to.clone()\n",
                          {}, {{"count", test::floats({0})}}};
  EXPECT_EQ(counted(scripted, GetParam()), kThreads * kCalls);
}

TEST_P(Stateful, CountsInASubmodule) {
  const Scripted outer{"def forward(self, x):\n  return self.inner.forward(x)\n", {}, {},
                       {{"inner", counter("self.count.view([1]).add_(x)\n  return self.count.clone()")}}};
  EXPECT_EQ(counted(outer, GetParam()), kThreads * kCalls);
}

TEST_P(Stateful, KeepsAList) {
  const Scripted scripted{"def forward(self, x):\n  if bool(x[0] > 0):\n    self.seen.append(x)\n"
                          "  return torch.tensor([float(len(self.seen))])\n", {}, {}, {}, {"seen"}};
  EXPECT_EQ(counted(scripted, GetParam()), kThreads * kCalls);
}

TEST_P(Stateful, AnAnswerIsNotChangedByTheNextCall) {
  const auto engine = engine_of(counter("self.count.add_(x)\n  return self.count"), GetParam());
  const Tensor one = test::floats({1});
  const Tensor first = engine->forward(std::span(&one, 1)).at(0);
  (void)engine->forward(std::span(&one, 1));
  EXPECT_EQ(first, test::floats({1}));
}

INSTANTIATE_TEST_SUITE_P(Levels, Stateful, testing::Values(Optimization::kNone, Optimization::kFreeze, Optimization::kFull));

}  // namespace
}  // namespace portfire
