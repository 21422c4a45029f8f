#include "archive/size_condition.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::exported {

struct SizeCondition::Node {
  enum class Kind : std::uint8_t {
    kNumber, kSize, kInput, kAdd, kSub, kMul, kFloorDiv, kMod, kPow, kNegate, kMin, kMax,
    kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kAnd, kOr, kNot,
  };
  Kind kind;
  std::int64_t number = 0;  ///< the number, or the axis
  std::size_t input = 0;
  std::vector<std::shared_ptr<const Node>> parts{};
};

namespace {

using Node = SizeCondition::Node;
using Kind = Node::Kind;
using NodePtr = std::shared_ptr<const Node>;

constexpr int kMostDepth = 256;
constexpr int kMostNodes = 4096;  // also bounds the depth of a chain of sums

struct BinaryRow {
  std::string_view token;
  Kind kind;
};
constexpr BinaryRow kComparisons[] = {{"==", Kind::kEqual}, {"!=", Kind::kNotEqual}, {"<=", Kind::kLessEqual},
                                      {">=", Kind::kGreaterEqual}, {"<", Kind::kLess}, {">", Kind::kGreater}};
constexpr BinaryRow kSums[] = {{"+", Kind::kAdd}, {"-", Kind::kSub}};
constexpr BinaryRow kProducts[] = {{"//", Kind::kFloorDiv}, {"*", Kind::kMul}, {"%", Kind::kMod}};

/// Python's grammar for these expressions, by recursive descent.
class Parser {
 public:
  Parser(std::string_view text, const std::vector<std::string>& inputs) : text_(text), inputs_(inputs) {}

  NodePtr parse() {
    NodePtr node = disjunction();
    if (!rest().empty()) fail();
    return node;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::kUnsupported, cat("the condition ", quoted(text_), " on its sizes is not supported"));
  }

  std::string_view rest() {
    while (place_ < text_.size() && text_[place_] == ' ') ++place_;
    return text_.substr(place_);
  }
  bool take(std::string_view token) {
    if (!rest().starts_with(token)) return false;
    place_ += token.size();
    return true;
  }
  bool take_word(std::string_view word) {
    const std::string_view found = rest();
    return found.starts_with(word) && (found.size() == word.size() || found[word.size()] == ' ' || found[word.size()] == '(') && take(word);
  }
  void expect(std::string_view token) {
    if (!take(token)) fail();
  }

  // Not of a braced list: GCC 12 destroys elements of one that was never filled where `c ? make({a, b()}) : a` throws.
  NodePtr make(Kind kind, NodePtr left, NodePtr right = nullptr) {
    if (++nodes_ > kMostNodes) fail();
    Node node{.kind = kind};
    node.parts.push_back(std::move(left));
    if (right) node.parts.push_back(std::move(right));
    return std::make_shared<const Node>(std::move(node));
  }

  NodePtr disjunction() {
    if (++depth_ > kMostDepth) fail();
    NodePtr left = conjunction();
    while (take_word("or")) left = make(Kind::kOr, left, conjunction());
    --depth_;
    return left;
  }
  NodePtr conjunction() {
    NodePtr left = negation();
    while (take_word("and")) left = make(Kind::kAnd, left, negation());
    return left;
  }
  NodePtr negation() {
    if (++depth_ > kMostDepth) fail();
    NodePtr node = take_word("not") ? make(Kind::kNot, negation()) : comparison();
    --depth_;
    return node;
  }
  NodePtr comparison() {
    NodePtr left = sum();
    const std::optional<Kind> kind = one_of(kComparisons);
    return kind ? make(*kind, left, sum()) : left;
  }
  NodePtr sum() {
    NodePtr left = product();
    while (const std::optional<Kind> kind = one_of(kSums)) left = make(*kind, left, product());
    return left;
  }
  NodePtr product() {
    NodePtr left = factor();
    while (!rest().starts_with("**")) {
      const std::optional<Kind> kind = one_of(kProducts);
      if (!kind) break;
      left = make(*kind, left, factor());
    }
    return left;
  }
  NodePtr factor() {
    if (++depth_ > kMostDepth) fail();
    NodePtr node = take("-") ? make(Kind::kNegate, factor()) : power();
    --depth_;
    return node;
  }
  NodePtr power() {
    NodePtr base = atom();
    return take("**") ? make(Kind::kPow, base, factor()) : base;
  }

  template <std::size_t Count>
  std::optional<Kind> one_of(const BinaryRow (&rows)[Count]) {
    for (const BinaryRow& row : rows) {
      if (take(row.token)) return row.kind;
    }
    return std::nullopt;
  }

  NodePtr atom() {
    if (take("(")) return closed(disjunction());
    if (take("min(")) return pair(Kind::kMin);
    if (take("max(")) return pair(Kind::kMax);
    if (take("Max(")) return pair(Kind::kMax);
    if (take("Min(")) return pair(Kind::kMin);
    if (take("Mod(") || take("PythonMod(")) return pair(Kind::kMod);
    if (take("FloorDiv(")) return pair(Kind::kFloorDiv);
    if (take("L[")) return input();
    return std::make_shared<const Node>(Node{.kind = Kind::kNumber, .number = number()});
  }
  NodePtr closed(NodePtr node) {
    expect(")");
    return node;
  }
  NodePtr pair(Kind kind) {
    NodePtr left = disjunction();
    expect(",");
    left = make(kind, left, disjunction());
    while (take(",")) left = make(kind, left, disjunction());
    return closed(left);
  }

  std::int64_t number() {
    const std::string_view found = rest();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(found.data(), found.data() + found.size(), value);
    if (error != std::errc() || found.front() == '-') fail();
    place_ += static_cast<std::size_t>(end - found.data());
    return value;
  }

  /// "'x'].size()[0]" after "L[", or "'args'][0].size()[1]".
  NodePtr input() {
    std::string name = key();
    while (take("[")) name += cat("_", key());
    const auto found = std::find(inputs_.begin(), inputs_.end(), name);
    if (found == inputs_.end()) fail();
    Node node{.kind = Kind::kInput, .input = static_cast<std::size_t>(found - inputs_.begin())};
    if (take(".size()[")) {
      node.kind = Kind::kSize;
      node.number = number();
      expect("]");
    }
    return std::make_shared<const Node>(std::move(node));
  }
  std::string key() {
    std::string name;
    if (take("'")) {
      const std::size_t end = rest().find('\'');
      if (end == std::string_view::npos) fail();
      name = rest().substr(0, end);
      place_ += end + 1;
    } else {
      name = cat(number());
    }
    expect("]");
    return name;
  }

  std::string_view text_;
  const std::vector<std::string>& inputs_;
  std::size_t place_ = 0;
  int depth_ = 0;
  int nodes_ = 0;
};

using Number = std::optional<std::int64_t>;  // none where Python would raise, and beyond 64 bits

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0); }

Number power(std::int64_t base, std::int64_t exponent) {
  std::int64_t out = 1;
  if (exponent < 0 || exponent > 64) return std::nullopt;
  for (std::int64_t k = 0; k < exponent; ++k) {
    if (__builtin_mul_overflow(out, base, &out)) return std::nullopt;
  }
  return out;
}

Number value(const Node& node, std::span<const InputSize> inputs);

Number combined(Kind kind, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (kind) {
    case Kind::kAdd: return __builtin_add_overflow(a, b, &out) ? Number() : out;
    case Kind::kSub: return __builtin_sub_overflow(a, b, &out) ? Number() : out;
    case Kind::kMul: return __builtin_mul_overflow(a, b, &out) ? Number() : out;
    case Kind::kFloorDiv:
    case Kind::kMod:
      if (b == 0 || b == -1) return b == 0 ? Number() : combined(Kind::kMul, kind == Kind::kMod ? 0 : a, -1);
      return kind == Kind::kMod ? a - floor_div(a, b) * b : floor_div(a, b);
    case Kind::kPow: return power(a, b);
    case Kind::kMin: return std::min(a, b);
    case Kind::kMax: return std::max(a, b);
    case Kind::kEqual: return a == b;
    case Kind::kNotEqual: return a != b;
    case Kind::kLess: return a < b;
    case Kind::kLessEqual: return a <= b;
    case Kind::kGreater: return a > b;
    case Kind::kGreaterEqual: return a >= b;
    default: return std::nullopt;
  }
}

Number size_of_axis(const Dims& shape, std::int64_t axis) {
  return axis < static_cast<std::int64_t>(shape.size()) ? Number(shape[static_cast<std::size_t>(axis)]) : std::nullopt;
}

Number value(const Node& node, std::span<const InputSize> inputs) {
  switch (node.kind) {
    case Kind::kNumber: return node.number;
    case Kind::kSize: return size_of_axis(inputs[node.input].shape, node.number);
    case Kind::kInput: return inputs[node.input].number;
    default: break;
  }
  const Number first = value(*node.parts[0], inputs);
  if (!first) return std::nullopt;
  if (node.kind == Kind::kNegate) return combined(Kind::kSub, 0, *first);
  if (node.kind == Kind::kNot) return *first == 0;
  if (node.kind == Kind::kAnd && *first == 0) return 0;
  if (node.kind == Kind::kOr && *first != 0) return 1;
  const Number second = value(*node.parts[1], inputs);
  if (!second) return std::nullopt;
  if (node.kind == Kind::kAnd || node.kind == Kind::kOr) return *second != 0;
  return combined(node.kind, *first, *second);
}

/// "L['x'].size()[0]" as "x.size(0)".
std::string plain(std::string text) {
  const auto replace = [&](std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  };
  for (std::size_t at = text.find(".size()["); at != std::string::npos; at = text.find(".size()[", at)) {
    const std::size_t end = text.find(']', at);
    if (end == std::string::npos) break;
    text[end] = ')';
    text.replace(at, std::string_view(".size()[").size(), ".size(");
  }
  replace("L['", "");
  replace("']", "");
  return text;
}

}  // namespace

SizeCondition::SizeCondition(std::string_view text, const std::vector<std::string>& inputs)
    : root_(Parser(text, inputs).parse()), text_(plain(std::string(text))) {}

bool SizeCondition::holds(std::span<const InputSize> inputs) const {
  const Number found = value(*root_, inputs);
  return found && *found != 0;
}

}  // namespace portfire::exported
