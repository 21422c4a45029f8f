#include "transport/routes/token_texts.h"

#include <algorithm>
#include <utility>

namespace portfire::routes {
namespace {

std::size_t code_points(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

TokenTexts::TokenTexts(const Tokenizer& tokenizer, std::span<const std::int64_t> prompt) : tokenizer_(tokenizer), decoder_(tokenizer) {
  for (const std::int64_t id : prompt) (void)decoder_.push(id);
}

void TokenTexts::add(const WrittenToken& token) {
  TokenText made{.text = {}, .offset = code_points_, .log_probability = token.log_probability};
  for (const LikelyToken& likely : token.likeliest) {
    DecodeStream other = decoder_;
    std::string text = other.push(likely.id);
    const bool is_spelled = text.empty();
    if (is_spelled) text = tokenizer_.token(likely.id);
    made.likeliest.push_back({.text = std::move(text), .log_probability = likely.log_probability, .is_spelled = is_spelled});
  }
  made.text = decoder_.push(token.id);
  const std::size_t begin = bytes_;
  bytes_ += made.text.size();
  code_points_ += code_points(made.text);
  waiting_.push_back({.token = std::move(made), .begin = begin});
}

std::vector<TokenText> TokenTexts::take(std::size_t bytes) {
  given_ += bytes;
  std::vector<TokenText> taken;
  while (!waiting_.empty() && waiting_.front().begin < given_) {
    taken.push_back(std::move(waiting_.front().token));
    waiting_.pop_front();
  }
  return taken;
}

}  // namespace portfire::routes
