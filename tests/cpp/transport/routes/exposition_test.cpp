#include "transport/routes/exposition.h"

#include <array>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portfire::routes {
namespace {

constexpr std::array<double, 2> kBounds{0.5, 1};

TEST(Exposition, WritesAFamilyAndItsSamples) {
  Exposition out;
  out.family("portfire_things_total", "counter", "Things.");
  out.sample({{"model", "a"}, {"version", "1"}}, 3);
  out.sample({}, 0.25);
  EXPECT_EQ(out.take(),
            "# HELP portfire_things_total Things.\n"
            "# TYPE portfire_things_total counter\n"
            "portfire_things_total{model=\"a\",version=\"1\"} 3\n"
            "portfire_things_total 0.25\n");
}

TEST(Exposition, EscapesBackslashesQuotesAndEndsOfLinesInLabels) {
  Exposition out;
  out.family("a", "gauge", "one \\ two\nthree \"four\"");
  out.sample({{"b", "\\ \" \n é"}}, 1);
  EXPECT_EQ(out.take(),
            "# HELP a one \\\\ two\\nthree \"four\"\n"
            "# TYPE a gauge\n"
            "a{b=\"\\\\ \\\" \\n é\"} 1\n");
}

TEST(Exposition, WritesAHistogramCumulatively) {
  serving::Histogram<2> values(kBounds);
  for (const double value : {0.5, 0.75, 1.0, 7.0}) values.observe(value);
  Exposition out;
  out.family("a", "histogram", "A.");
  out.histogram({{"b", "c"}}, values);
  EXPECT_THAT(out.take(), testing::EndsWith("a_bucket{b=\"c\",le=\"0.5\"} 1\n"
                                            "a_bucket{b=\"c\",le=\"1\"} 3\n"
                                            "a_bucket{b=\"c\",le=\"+Inf\"} 4\n"
                                            "a_sum{b=\"c\"} 9.25\n"
                                            "a_count{b=\"c\"} 4\n"));
}

TEST(Exposition, WritesWhatIsNoNumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  Exposition out;
  out.single("a", "gauge", "A.", infinity);
  out.sample({}, -infinity);
  out.sample({}, std::nan(""));
  EXPECT_THAT(out.take(), testing::EndsWith("a +Inf\na -Inf\na NaN\n"));
}

}  // namespace
}  // namespace portfire::routes
