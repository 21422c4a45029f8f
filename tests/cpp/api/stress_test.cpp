// Many calls, from many threads, for long. PORTFIRE_STRESS_SECONDS makes these tests as long as they were
// meant; without it they take a moment.
#include <portfire/model.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "packages.h"

namespace portfire {
namespace {

using Clock = std::chrono::steady_clock;

double stress_seconds() {
  const char* text = std::getenv("PORTFIRE_STRESS_SECONDS");
  return text == nullptr ? 0 : std::atof(text);
}

TEST(Stress, EightThreadsOnOneModelAgree) {
  const Model model = Model::load(test::kBrightness, {.threads = 1});
  std::vector<Input> inputs;
  for (const int value : {5, 128, 250, 60, 190}) inputs.push_back(test::grey(static_cast<std::uint8_t>(value)));
  inputs.push_back(Input::bytes({}, "empty.png"));
  const std::vector<Outcome> expected = model.run_each(inputs);
  const Tensor brightness = test::floats({0, 0.5F, 1}, {3, 1});
  const Tensor logits = model.forward(brightness);

  const auto end = Clock::now() + std::chrono::duration<double>(std::max(stress_seconds(), 0.5));
  std::atomic<std::int64_t> calls = 0;
  std::atomic<std::int64_t> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, own = model, thread] {
      for (int call = thread; Clock::now() < end; ++call) {
        ++calls;
        switch (call % 4) {
          case 0: {
            const auto outcomes = own.run_each(inputs);
            for (std::size_t k = 0; k + 1 < inputs.size(); ++k) {
              if (std::get<Answer>(outcomes[k]) != std::get<Answer>(expected[k])) ++wrong;
            }
            if (!std::holds_alternative<Error>(outcomes.back())) ++wrong;
            break;
          }
          case 1: wrong += own.forward(brightness) != logits; break;
          case 2: wrong += !own.verify().passed(); break;
          default: wrong += own.info().manifest->labels.size() != 3;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(calls, 8);
}

Tensor ramp(std::int64_t batch) {
  std::vector<float> values(static_cast<std::size_t>(batch * 4 * 8 * 8));
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k % 17) / 17;
  return test::floats(values, {batch, 4, 8, 8});
}

/// More shapes than a layer keeps packed weights for.
TEST(Stress, EightThreadsOnAnExportedProgramAgree) {
  const Model model = Model::load(test::kLayers, {.threads = 1});
  ASSERT_EQ(model.info().engine, "graph");
  ASSERT_EQ(model.info().optimization, "full");
  std::vector<Tensor> inputs;
  std::vector<std::vector<Tensor>> expected;
  for (const std::int64_t batch : {1, 8, 24, 48, 56, 60, 64}) {
    inputs.push_back(ramp(batch));
    expected.push_back(model.forward(std::span(&inputs.back(), 1)));
  }
  const auto end = Clock::now() + std::chrono::duration<double>(std::max(stress_seconds(), 0.5));
  std::atomic<std::int64_t> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::size_t call = thread; Clock::now() < end; call += 1 + thread) {
        const std::size_t which = call % inputs.size();
        wrong += model.forward(std::span(&inputs[which], 1)) != expected[which];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Stress, EveryLevelOfAnExportedProgramHoldsItsGoldenSamples) {
  for (const Optimization level : {Optimization::kNone, Optimization::kFreeze, Optimization::kFull}) {
    const VerifyReport report = Model::load(test::kLayers, {.optimization = level, .threads = 1}).verify();
    EXPECT_TRUE(report.passed()) << report.summary();
  }
}

TEST(Stress, ModelsAreLoadedOnSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&right] {
      right += Model::load(test::kBrightness, {.threads = 1}).run(test::grey(250)).classification().label() == "bright";
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4);
}

std::int64_t resident_bytes() {
  std::int64_t total = 0;
  std::int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

void call_with_changing_batches(const Model& model, int calls) {
  const Tensor all = Tensor::zeros(DType::kFloat32, {64, 1});
  for (int call = 0; call < calls; ++call) {
    const Tensor batch = Tensor::external({.data = const_cast<void*>(all.data()), .shape = {1 + call % 64, 1}});
    ASSERT_EQ(model.forward(batch).shape(), (Dims{1 + call % 64, 3}));
  }
}

TEST(Stress, MemoryStaysFlatWhileBatchesChange) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  const int calls = stress_seconds() > 0 ? 100'000 : 10'000;
  for (const Optimization level : {Optimization::kFreeze, Optimization::kFull}) {
    const Model model = Model::load(test::kBrightness, {.optimization = level, .threads = 1});
    call_with_changing_batches(model, calls / 5);
    const std::int64_t before = resident_bytes();
    call_with_changing_batches(model, calls - calls / 5);
    EXPECT_LT(resident_bytes() - before, 2 << 20) << "after " << calls << " calls";
  }
}

/// Every call has another shape than the one before: what is kept for a shape is bounded.
TEST(Stress, MemoryStaysFlatWhileAnExportedProgramsShapesChange) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  const int calls = stress_seconds() > 0 ? 100'000 : 2'000;
  const Model model = Model::load(test::kLayers, {.threads = 1});
  ASSERT_EQ(model.info().optimization, "full");
  std::vector<Tensor> inputs;
  for (std::int64_t batch = 1; batch <= 64; ++batch) inputs.push_back(ramp(batch));
  const auto call = [&](int times) {
    for (int k = 0; k < times; ++k) (void)model.forward(std::span(&inputs[static_cast<std::size_t>(k * 7 % 64)], 1));
  };
  call(calls / 5);
  const std::int64_t before = resident_bytes();
  call(calls - calls / 5);
  EXPECT_LT(resident_bytes() - before, 8 << 20) << "after " << calls << " calls";
}

TEST(Stress, MemoryStaysFlatWhileModelsComeAndGo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  const auto load_some = [](int times) {
    for (int k = 0; k < times; ++k) (void)Model::load(test::kBrightness, {.threads = 1}).run(test::grey(5));
  };
  load_some(30);
  const std::int64_t before = resident_bytes();
  load_some(60);
  EXPECT_LT(resident_bytes() - before, 4 << 20);
}

}  // namespace
}  // namespace portfire
