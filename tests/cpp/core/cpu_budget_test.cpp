#include "core/cpu_budget.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <portfire/model.h>

namespace portfire {
namespace {

TEST(CpuBudget, ReadsACgroupQuota) {
  EXPECT_EQ(processors_of_cpu_max("200000 100000"), 2);
  EXPECT_EQ(processors_of_cpu_max("150000 100000"), 2);
  EXPECT_EQ(processors_of_cpu_max("50000 100000"), 1);
}

TEST(CpuBudget, NoQuotaIsZero) {
  for (const char* line : {"max 100000", "", "-1 100000", "100000 0", "rubbish"}) EXPECT_EQ(processors_of_cpu_max(line), 0) << line;
}

TEST(CpuBudget, IsWithinTheAffinity) {
  cpu_set_t set;
  CPU_ZERO(&set);
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_GE(cpu_budget(), 1);
  EXPECT_LE(cpu_budget(), CPU_COUNT(&set));
}

}  // namespace
}  // namespace portfire
