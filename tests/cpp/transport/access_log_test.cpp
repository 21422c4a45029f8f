#include "transport/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include <nlohmann/json.hpp>

namespace portfire {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

TEST(TraceIdOf, TakesWhatTheSpecificationHas) {
  EXPECT_EQ(trace_id_of("00-" + kTrace + "-00f067aa0ba902b7-01"), kTrace);
  EXPECT_EQ(trace_id_of("00-" + kTrace + "-00f067aa0ba902b7-ff"), kTrace);
  EXPECT_EQ(trace_id_of("cc-" + kTrace + "-00f067aa0ba902b7-01"), kTrace);  // of a later version
  EXPECT_EQ(trace_id_of("cc-" + kTrace + "-00f067aa0ba902b7-01-what-the-future-will-be"), kTrace);
}

TEST(TraceIdOf, IgnoresWhatIsInvalid) {
  const std::string zeros(32, '0');
  for (const std::string& text : std::initializer_list<std::string>{std::string(), std::string(55, '-'), "00-" + kTrace + "-00f067aa0ba902b7-0", "00-" + kTrace + "-00f067aa0ba902b7-01-", "00-" + kTrace + "-00f067aa0ba902b7-01.",
                                  "cc-" + kTrace + "-00f067aa0ba902b7-01.what", "ff-" + kTrace + "-00f067aa0ba902b7-01", "00-" + zeros + "-00f067aa0ba902b7-01", "00-" + kTrace + "-0000000000000000-01",
                                  "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-" + kTrace + "-00F067AA0BA902B7-01", "0-" + kTrace + "-00f067aa0ba902b7-001", "00_" + kTrace + "_00f067aa0ba902b7_01",
                                  " 00-" + kTrace + "-00f067aa0ba902b7-01", "00-" + kTrace + "-00f067aa0ba902bg-01", "00-" + kTrace + "-00f067aa0ba902b7-0x", std::string(1000, '0')}) {
    EXPECT_EQ(trace_id_of(text), "") << text;
  }
}

Access digits() {
  Access access;
  access.came = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'042));
  access.method = "POST";
  access.path = "/v2/models/digits/infer";
  access.request_id = "a1";
  access.status = 200;
  access.complete = true;
  access.bytes_in = 10;
  access.bytes_out = 20;
  access.took = std::chrono::microseconds(1234);
  return access;
}

TEST(AccessLog, SaysWhatItKnows) {
  Access access = digits();
  EXPECT_EQ(AccessLog::text_of(access), "2023-11-14T22:13:20.042Z \"POST /v2/models/digits/infer\" 200 1.234 ms in=10 out=20 id=a1");
  access.model = "digits";
  access.version = 3;
  access.key = "alice";
  access.trace_id = kTrace;
  access.complete = false;
  EXPECT_THAT(AccessLog::text_of(access), EndsWith("200 incomplete 1.234 ms in=10 out=20 model=digits/3 key=alice id=a1 trace=" + kTrace));
  access.status.reset();
  EXPECT_THAT(AccessLog::text_of(access), HasSubstr("infer\" gone 1.234 ms"));
  access.method = "gRPC";
  access.status = 14;
  EXPECT_THAT(AccessLog::text_of(access), HasSubstr(" UNAVAILABLE incomplete "));
}

TEST(AccessLog, SaysItInJson) {
  const auto json = nlohmann::json::parse(AccessLog::json_of(digits()));
  EXPECT_EQ(json["time"], "2023-11-14T22:13:20.042Z");
  EXPECT_EQ(json["event"], "access");
  EXPECT_EQ(json["protocol"], "http");
  EXPECT_EQ(json["status"], 200);
  EXPECT_DOUBLE_EQ(json["milliseconds"].get<double>(), 1.234);
  for (const char* unknown : {"model", "version", "key", "trace_id"}) EXPECT_TRUE(json.at(unknown).is_null()) << unknown;
  EXPECT_FALSE(json.contains("code"));
  Access call = digits();
  call.method = "gRPC";
  call.status = 5;
  EXPECT_EQ(nlohmann::json::parse(AccessLog::json_of(call))["code"], "NOT_FOUND");
}

TEST(AccessLog, HasOneLineForWhateverIsAsked) {
  Access access = digits();
  access.path = "/\n\x1b[31m\xff\"" + std::string(10000, 'x');
  for (const std::string& line : {AccessLog::text_of(access), AccessLog::json_of(access)}) {
    EXPECT_THAT(line, Not(HasSubstr("\n")));
    EXPECT_THAT(line, Not(HasSubstr("\x1b")));
    EXPECT_LT(line.size(), 1500U);
  }
}

TEST(AccessLog, WritesAllBeforeItEnds) {
  std::string all;
  {
    AccessLog log(false, [&](const std::string& lines) { all += lines; });
    for (int k = 0; k < 1000; ++k) log.add(digits());
  }
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1000);
}

TEST(AccessLog, HoldsUpNobodyAndCountsWhatIsMissing) {
  std::string all;
  std::mutex slow;
  {
    slow.lock();
    AccessLog log(true, [&](const std::string& lines) {
      const std::lock_guard lock(slow);
      all += lines;
    });
    for (std::size_t k = 0; k < 3 * AccessLog::kMostWaiting; ++k) log.add(digits());  // nothing is taken meanwhile
    slow.unlock();
  }
  EXPECT_THAT(all, HasSubstr("access-dropped"));
  EXPECT_LE(std::count(all.begin(), all.end(), '\n'), static_cast<std::ptrdiff_t>(2 * AccessLog::kMostWaiting + 2));
  EXPECT_GE(std::count(all.begin(), all.end(), '\n'), static_cast<std::ptrdiff_t>(AccessLog::kMostWaiting));
}

}  // namespace
}  // namespace portfire
