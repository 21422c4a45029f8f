#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codecs/text/pattern.h"

namespace portfire::text {

/// A text that came from another one, and where each of its bytes came from.
class AlignedText {
 public:
  AlignedText() = default;
  /// A part of the source as it is; `base` is where it begins there. At most 2^32 - 1 bytes from the source's start.
  AlignedText(std::string part, std::size_t base)
      : bytes_(std::move(part)), most_(kGrowth * bytes_.size() + kSlack), base_(static_cast<std::uint32_t>(base)) {}

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  /// Where a range of this text came from: whole code points. An empty range is an empty one there.
  [[nodiscard]] Range source(Range range) const noexcept;
  /// A part of this text by itself.
  [[nodiscard]] AlignedText part(Range range) const;

 private:
  friend class Rewriter;
  // The most that a legitimate normalizer makes of a text is eleven times its size (U+FDFA in NFKC).
  static constexpr std::size_t kGrowth = 64;
  static constexpr std::size_t kSlack = 64 * 1024;
  struct Span {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  std::string bytes_;
  std::vector<Span> source_;  ///< one a byte; empty: byte k came from byte base + k
  std::size_t most_ = kSlack;  ///< bytes that it may grow to
  std::uint32_t base_ = 0;
};

/// Writes what a text becomes. Throws kResourceExhausted where that is out of all proportion to what it came from.
class Rewriter {
 public:
  explicit Rewriter(const AlignedText& from);

  /// A range of the old text, unchanged.
  void keep(Range range);
  /// `bytes` in the place of a range of the old text.
  void replace(std::string_view bytes, Range range);
  [[nodiscard]] std::size_t size() const noexcept { return out_.bytes_.size(); }
  [[nodiscard]] AlignedText done() { return std::move(out_); }

 private:
  const AlignedText& from_;
  AlignedText out_;
};

/// Replaces every code point by what `change(code_point, out)` appends to `out`; true from it keeps the code point
/// as it is. A text in which all is kept is not copied.
template <typename Change>
void rewrite_code_points(AlignedText& text, Change change);

}  // namespace portfire::text

#include "codecs/text/utf8.h"

namespace portfire::text {

template <typename Change>
void rewrite_code_points(AlignedText& text, Change change) {
  const std::string& bytes = text.bytes();
  std::string changed;
  std::size_t at = 0;
  const auto kept = [&] {
    for (; at < bytes.size();) {
      const CodePoint c = code_point_at(bytes, at);
      changed.clear();
      if (!change(c.value, changed)) return false;
      at += c.bytes;
    }
    return true;
  };
  if (kept()) return;
  Rewriter rewriter(text);
  rewriter.keep({0, at});
  while (at < bytes.size()) {
    const CodePoint c = code_point_at(bytes, at);
    const Range range{at, at + c.bytes};
    changed.clear();
    if (change(c.value, changed)) {
      rewriter.keep(range);
    } else {
      rewriter.replace(changed, range);
    }
    at = range.end;
  }
  text = rewriter.done();
}

}  // namespace portfire::text
