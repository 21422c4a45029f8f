#include "engine/graph/kernels/one_query.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "variants.h"

namespace portfire::graph {
namespace {

using direct::kMostThreads;

class OneQueryTest : public testing::Test {
 protected:
  OneQueryTest() { at::manual_seed(20); }
};

/// softmax(scale q k^T) v in float64.
at::Tensor right(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::optional<at::Tensor>& mask, double scale) {
  const std::int64_t repeats = q.size(1) / k.size(1);
  at::Tensor scores = at::matmul(q.to(at::kDouble), k.to(at::kDouble).repeat_interleave(repeats, 1).transpose(2, 3)) * scale;
  if (mask) scores = scores.masked_fill(mask->logical_not(), -std::numeric_limits<double>::infinity());
  return at::matmul(scores.softmax(3), v.to(at::kDouble).repeat_interleave(repeats, 1)).to(at::kFloat);
}

TEST_F(OneQueryTest, AttendsToWhatIsSeen) {
  for (const auto& [name, kernels] : direct::variants()) {
    for (const std::int64_t size : {1, 7, 16, 64, 83}) {
      for (const std::int64_t places : {1, 5, 16, 33, 130}) {
        for (const std::int64_t kv_heads : {1, 2, 6}) {
          SCOPED_TRACE(name + " " + std::to_string(size) + " " + std::to_string(places) + " " + std::to_string(kv_heads));
          const at::Tensor q = at::randn({3, 6, 1, size}) * 3, k = at::randn({3, kv_heads, places, size}), v = at::randn({3, kv_heads, places, size + 4});
          at::Tensor mask = at::rand({3, 1, 1, places}) < 0.6;
          mask.select(3, 0).fill_(true);
          const at::Tensor y = at::zeros({3, 6, 1, size + 4});
          std::vector<float> scores(static_cast<std::size_t>(places + kernels->width));
          const direct::OneQuery task{.q = q.const_data_ptr<float>(), .q_row = q.stride(0), .q_head = q.stride(1), .k = k.const_data_ptr<float>(), .k_row = k.stride(0),
                                      .k_head = k.stride(1), .k_place = k.stride(2), .v = v.const_data_ptr<float>(), .v_row = v.stride(0), .v_head = v.stride(1),
                                      .v_place = v.stride(2), .mask = reinterpret_cast<const unsigned char*>(mask.const_data_ptr<bool>()), .mask_row = places,
                                      .scale = 0.25F, .y = y.mutable_data_ptr<float>(), .heads = 6, .kv_heads = kv_heads, .places = places, .size = size, .value_size = size + 4};
          kernels->attend(task, 0, 7, scores.data());
          kernels->attend(task, 7, 18, scores.data());
          EXPECT_TRUE(at::allclose(y, right(q, k, v, mask, 0.25), 1e-5, 1e-5));
        }
      }
    }
  }
}

at::Tensor attended(std::int64_t repeats, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const c10::IValue& mask, bool is_causal = false) {
  torch::jit::Stack stack{q, k, v, mask, 0.0, is_causal, c10::IValue(), false};
  one_query(repeats)->run(stack);
  return stack.at(0).toTensor();
}

TEST_F(OneQueryTest, ARowIsTheSameAmongOthersAndWithMoreRoom) {
  const at::Tensor q = at::randn({5, 1, 4, 64}).transpose(1, 2), cache = at::randn({2, 5, 2, 192, 64});
  const at::Tensor seen = at::randint(1, 128, {5, 1, 1, 1}) > at::arange(192);
  const int before = at::get_num_threads();
  at::set_num_threads(kMostThreads);
  const at::Tensor y = attended(2, q, cache[0], cache[1], seen);
  at::set_num_threads(before);
  EXPECT_TRUE(at::allclose(y, right(q, cache[0], cache[1], seen, 0.125), 1e-5, 2e-6));
  for (std::int64_t row = 0; row < 5; ++row) {
    const auto of_row = [&](const at::Tensor& x) { return x.narrow(0, row, 1); };
    const at::Tensor alone = attended(2, of_row(q), of_row(cache[0]).narrow(2, 0, 128), of_row(cache[1]).narrow(2, 0, 128), of_row(seen).narrow(3, 0, 128));
    EXPECT_TRUE(at::equal(alone, of_row(y)));
  }
}

TEST_F(OneQueryTest, OfManyQueriesEachIsAsAlone) {
  const at::Tensor q = at::randn({3, 37, 4, 24}).transpose(1, 2), k = at::randn({3, 2, 90, 24}), v = at::randn({3, 2, 90, 20});
  const at::Tensor causal = (at::arange(90).view({1, 1, 1, 90}) <= (at::arange(37) + 20).view({1, 1, 37, 1}));
  at::Tensor holes = at::rand({3, 4, 37, 90}) < 0.5;
  holes.select(3, 0).fill_(true);
  const int before = at::get_num_threads();
  for (const at::Tensor& mask : {causal, holes, holes.narrow(2, 5, 1), holes.narrow(0, 1, 1).narrow(1, 2, 1)}) {
    at::set_num_threads(kMostThreads);
    const at::Tensor y = attended(2, q, k, v, mask);
    at::set_num_threads(before);
    EXPECT_TRUE(at::allclose(y, right(q, k, v, mask, 1 / std::sqrt(24.0)), 1e-5, 2e-6));
    EXPECT_TRUE(y.transpose(1, 2).is_contiguous());
    for (std::int64_t s = 0; s < 37; ++s) {
      const at::Tensor of_query = mask.size(2) == 1 ? mask : mask.narrow(2, s, 1);
      ASSERT_TRUE(at::equal(attended(2, q.narrow(2, s, 1), k, v, of_query), y.narrow(2, s, 1))) << s;
    }
  }
  at::Tensor nothing = holes.clone();
  nothing.select(2, 36).fill_(false);
  const at::Tensor all_k = k.repeat_interleave(2, 1), all_v = v.repeat_interleave(2, 1);
  EXPECT_TRUE(at::allclose(attended(2, q, k, v, nothing), at::scaled_dot_product_attention(q, all_k, all_v, nothing), 0, 0, true));
}

TEST_F(OneQueryTest, AllElseIsLibTorchs) {
  const at::Tensor q = at::randn({2, 4, 3, 8}), k = at::randn({2, 4, 9, 8}), v = at::randn({2, 4, 9, 8}), one = q.narrow(2, 0, 1);
  const at::Tensor mask = at::rand({2, 1, 3, 9}) < 0.5;
  const auto op = [](const at::Tensor& x, const at::Tensor& y, const at::Tensor& z, const std::optional<at::Tensor>& m, bool causal = false) {
    return at::scaled_dot_product_attention(x, y, z, m, 0.0, causal);
  };
  const at::Tensor weights = at::randn({2, 1, 3, 9});
  EXPECT_TRUE(at::equal(attended(1, q, k, v, weights), op(q, k, v, weights)));
  EXPECT_TRUE(at::equal(attended(1, q, k, v, c10::IValue()), op(q, k, v, {})));
  EXPECT_TRUE(at::equal(attended(1, one, k, v, c10::IValue(), true), op(one, k, v, {}, true)));
  const at::Tensor added = at::randn({2, 1, 1, 9}), hidden = at::zeros({2, 1, 1, 9}, at::kBool);
  EXPECT_TRUE(at::equal(attended(1, one, k, v, added), op(one, k, v, added)));
  EXPECT_TRUE(at::allclose(attended(1, one, k, v, hidden), op(one, k, v, hidden), 0, 0, true));
  const auto half = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
  EXPECT_TRUE(at::equal(attended(1, half(one), half(k), half(v), c10::IValue()), op(half(one), half(k), half(v), {})));
  EXPECT_TRUE(at::allclose(attended(2, q, k.narrow(1, 0, 2), v.narrow(1, 0, 2), c10::IValue()), right(q, k.narrow(1, 0, 2), v.narrow(1, 0, 2), {}, 1 / std::sqrt(8.0)), 1e-5, 1e-5));
  EXPECT_THROW((void)attended(1, one, at::randn({2, 4, 9, 7}), v, c10::IValue()), c10::Error);
}

at::Tensor put(const at::Tensor& x, const at::Tensor& rows, const at::Tensor& columns, const at::Tensor& values, bool accumulate = false) {
  torch::jit::Stack stack{x, c10::List<std::optional<at::Tensor>>({rows, columns}), values, accumulate};
  put_rows()->run(stack);
  return stack.at(0).toTensor();
}

TEST_F(OneQueryTest, RowsArePutWhereTheIndicesSay) {
  const at::Tensor rows = at::arange(3).unsqueeze(1), places = at::randint(-7, 7, {3, 1}), row = at::arange(1).unsqueeze(1);
  const auto cache = [] { return at::zeros({3, 2, 7, 5}).transpose(1, 2); };
  for (const at::Tensor& values : {at::randn({3, 1, 2, 5}), at::randn({3, 1, 4, 5}).narrow(2, 1, 2), at::randn({3, 1, 2, 9}).narrow(3, 2, 5), at::randn({5, 2, 1, 3}).permute({3, 2, 1, 0})}) {
    const at::Tensor x = cache(), y = cache();
    EXPECT_TRUE(put(x, rows, places, values).is_same(x));
    EXPECT_TRUE(at::equal(x, y.index_put_({rows, places}, values)));
  }
  const at::Tensor prompt = at::randn({1, 4, 2, 5}), x = cache(), y = cache(), four = at::arange(4).unsqueeze(0);
  (void)put(x, row, four, prompt);
  (void)put(x, rows, places, at::full({}, 2.0F));
  (void)put(x, rows, places, at::randn({3, 1, 2, 5}) * 0 + 1, true);
  y.index_put_({row, four}, prompt).index_put_({rows, places}, at::full({}, 2.0F)).index_put_({rows, places}, at::full({}, 1.0F), true);
  EXPECT_TRUE(at::equal(x, y));
  EXPECT_THROW((void)put(cache(), rows, at::full({3, 1}, 7, at::kLong), at::randn({3, 1, 2, 5})), c10::Error);
  EXPECT_THROW((void)put(cache(), rows, places, at::randn({3, 1, 3, 5})), c10::Error);
}

}  // namespace
}  // namespace portfire::graph
