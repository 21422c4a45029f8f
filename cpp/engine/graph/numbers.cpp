#include "engine/graph/numbers.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

#include <portfire/error.h>

namespace portfire::graph {
namespace {

using c10::IValue;
using Arguments = std::span<const IValue>;

[[noreturn]] void fail(const char* what) { throw Error(ErrorCode::kInvalidInput, what); }

double real(const IValue& value) {
  if (value.isDouble()) return value.toDouble();
  if (value.isBool()) return value.toBool() ? 1 : 0;
  return static_cast<double>(value.toInt());
}

std::int64_t whole(const IValue& value) { return value.isBool() ? (value.toBool() ? 1 : 0) : value.toInt(); }

bool any_real(Arguments x) { return x[0].isDouble() || (x.size() > 1 && x[1].isDouble()); }

std::int64_t whole_from(double value) {
  constexpr double kLimit = 9.2e18;
  if (!(std::abs(value) < kLimit)) fail("a size is not a whole number of 64 bits");
  return static_cast<std::int64_t>(value);
}

std::int64_t checked(bool overflow, std::int64_t value) {
  if (overflow) fail("a size has more than 64 bits");
  return value;
}

void refuse_zero(const IValue& divisor) {
  if (real(divisor) == 0) fail("a size is divided by zero");
}

IValue add(Arguments x) {
  if (any_real(x)) return real(x[0]) + real(x[1]);
  std::int64_t out = 0;
  const bool overflow = __builtin_add_overflow(whole(x[0]), whole(x[1]), &out);
  return checked(overflow, out);
}

IValue sub(Arguments x) {
  if (any_real(x)) return real(x[0]) - real(x[1]);
  std::int64_t out = 0;
  const bool overflow = __builtin_sub_overflow(whole(x[0]), whole(x[1]), &out);
  return checked(overflow, out);
}

IValue mul(Arguments x) {
  if (any_real(x)) return real(x[0]) * real(x[1]);
  std::int64_t out = 0;
  const bool overflow = __builtin_mul_overflow(whole(x[0]), whole(x[1]), &out);
  return checked(overflow, out);
}

IValue neg(Arguments x) {
  if (any_real(x)) return -real(x[0]);
  std::int64_t out = 0;
  const bool overflow = __builtin_sub_overflow(std::int64_t{0}, whole(x[0]), &out);
  return checked(overflow, out);
}

IValue truediv(Arguments x) {
  refuse_zero(x[1]);
  return real(x[0]) / real(x[1]);
}

// Python rounds down, C++ towards zero; the least number divided by -1 is no number.
IValue floordiv(Arguments x) {
  refuse_zero(x[1]);
  if (any_real(x)) return std::floor(real(x[0]) / real(x[1]));
  const std::int64_t a = whole(x[0]);
  const std::int64_t b = whole(x[1]);
  if (b == -1) return neg(x.first(1));
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0) ? 1 : 0);
}

IValue mod(Arguments x) {
  refuse_zero(x[1]);
  if (any_real(x)) return real(x[0]) - std::floor(real(x[0]) / real(x[1])) * real(x[1]);
  const std::int64_t b = whole(x[1]);
  if (b == -1) return std::int64_t{0};
  const std::int64_t rest = whole(x[0]) % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

IValue power(Arguments x) {
  const double out = std::pow(real(x[0]), real(x[1]));
  return any_real(x) || real(x[1]) < 0 ? IValue(out) : IValue(whole_from(out));
}

template <template <typename> typename Compare>
IValue compare(Arguments x) {
  if (any_real(x)) return Compare<double>{}(real(x[0]), real(x[1]));
  return Compare<std::int64_t>{}(whole(x[0]), whole(x[1]));
}

IValue itself(Arguments x) { return x[0]; }
IValue logical_and(Arguments x) { return x[0].toBool() && x[1].toBool(); }
IValue logical_or(Arguments x) { return x[0].toBool() || x[1].toBool(); }
IValue logical_not(Arguments x) { return !x[0].toBool(); }
IValue smaller(Arguments x) { return real(x[1]) < real(x[0]) ? x[1] : x[0]; }
IValue larger(Arguments x) { return real(x[1]) > real(x[0]) ? x[1] : x[0]; }
IValue choice(Arguments x) { return x[0].toBool() ? x[1] : x[2]; }
IValue to_float(Arguments x) { return real(x[0]); }
IValue to_int(Arguments x) { return x[0].isDouble() ? whole_from(std::trunc(x[0].toDouble())) : whole(x[0]); }
IValue ceil(Arguments x) { return x[0].isDouble() ? whole_from(std::ceil(x[0].toDouble())) : whole(x[0]); }
IValue floor(Arguments x) { return x[0].isDouble() ? whole_from(std::floor(x[0].toDouble())) : whole(x[0]); }

struct Row {
  std::string_view target;
  std::size_t arguments;
  NumberFunction function;
};

constexpr Row kRows[] = {
    {"_operator.add", 2, add},
    {"_operator.sub", 2, sub},
    {"_operator.mul", 2, mul},
    {"_operator.truediv", 2, truediv},
    {"_operator.floordiv", 2, floordiv},
    {"_operator.mod", 2, mod},
    {"_operator.pow", 2, power},
    {"_operator.neg", 1, neg},
    {"_operator.pos", 1, itself},
    {"_operator.eq", 2, compare<std::equal_to>},
    {"_operator.ne", 2, compare<std::not_equal_to>},
    {"_operator.lt", 2, compare<std::less>},
    {"_operator.le", 2, compare<std::less_equal>},
    {"_operator.gt", 2, compare<std::greater>},
    {"_operator.ge", 2, compare<std::greater_equal>},
    {"_operator.and_", 2, logical_and},
    {"_operator.or_", 2, logical_or},
    {"math.ceil", 1, ceil},
    {"math.floor", 1, floor},
    {"math.trunc", 1, to_int},
    {"torch.sym_float", 1, to_float},
    {"torch.sym_int", 1, to_int},
    {"torch.sym_ite", 3, choice},
    {"torch.sym_max", 2, larger},
    {"torch.sym_min", 2, smaller},
    {"torch.sym_not", 1, logical_not},
};

}  // namespace

NumberFunction find_number_function(std::string_view target, std::size_t arguments) {
  for (const Row& row : kRows) {
    if (row.target == target && row.arguments == arguments) return row.function;
  }
  return nullptr;
}

}  // namespace portfire::graph
