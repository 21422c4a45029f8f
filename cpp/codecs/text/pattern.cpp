#include "codecs/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include <portfire/error.h>

#include "codecs/text/pattern_syntax.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

constexpr std::uint32_t kMatchLimit = 50'000'000;
constexpr std::uint32_t kHeapLimitKiB = 1 << 20;
constexpr std::size_t kFirstStack = 32 * 1024;
constexpr std::size_t kLargestStack = 8 * 1024 * 1024;

std::string message_of(int code) {
  std::array<unsigned char, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// What one search needs and no other may use meanwhile.
struct Search {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);  // the whole match is all that is asked for
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kFirstStack, kLargestStack, nullptr);

  Search() {
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKiB);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Search() {
    pcre2_match_data_free(data);
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
};

}  // namespace

struct Pattern::Code {
  pcre2_code* compiled = nullptr;
  ~Code() { pcre2_code_free(compiled); }
};

Pattern Pattern::regex(const std::string& expression) {
  int error = 0;
  PCRE2_SIZE place = 0;
  Pattern pattern(expression);
  auto code = std::make_shared<Code>();
  const std::string ours = pcre2_syntax(expression);
  code->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &place, nullptr);
  if (code->compiled == nullptr) {
    throw Error(ErrorCode::kUnsupported, cat("the expression ", quoted(expression), ": ", message_of(error)));
  }
  pcre2_jit_compile(code->compiled, PCRE2_JIT_COMPLETE);  // where there is no compiler for it, it is interpreted
  pattern.code_ = std::move(code);
  return pattern;
}

Pattern Pattern::literal(const std::string& text) { return Pattern(text); }

std::vector<Range> Pattern::find_all(std::string_view text) const {
  std::vector<Range> found;
  if (code_ == nullptr) {
    for (std::size_t at = 0; !expression_.empty() && (at = text.find(expression_, at)) != std::string_view::npos; at += expression_.size()) {
      found.push_back({at, at + expression_.size()});
    }
    return found;
  }
  thread_local const Search search;
  const PCRE2_SIZE* span = pcre2_get_ovector_pointer(search.data);
  std::size_t last_end = std::string_view::npos;
  for (std::size_t at = 0; at <= text.size() && !text.empty();) {
    // Valid UTF-8 is this class's contract: to check it again for each match would make it quadratic.
    const int count = pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, PCRE2_NO_UTF_CHECK, search.data, search.context);
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0) {
      throw Error(ErrorCode::kResourceExhausted, cat("the expression ", quoted(expression_), " on a text of ", human_bytes(static_cast<double>(text.size())),
                                                     ": ", message_of(count)));
    }
    if (span[0] == span[1] && span[1] == last_end) {
      at += at < text.size() ? code_point_at(text, at).bytes : 1;
      continue;
    }
    found.push_back({span[0], span[1]});
    at = last_end = span[1];
  }
  return found;
}

}  // namespace portfire::text
