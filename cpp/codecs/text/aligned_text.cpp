#include "codecs/text/aligned_text.h"

#include <algorithm>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::text {

Range AlignedText::source(Range range) const noexcept {
  if (range.begin >= range.end) {
    const std::size_t at = source_.empty()              ? base_ + range.begin
                           : range.begin < source_.size() ? source_[range.begin].begin
                                                          : source_.back().end;
    return {at, at};
  }
  if (source_.empty()) {
    while (range.begin > 0 && is_continuation(bytes_[range.begin])) --range.begin;
    while (range.end < bytes_.size() && is_continuation(bytes_[range.end])) ++range.end;
    return {base_ + range.begin, base_ + range.end};
  }
  return {source_[range.begin].begin, std::max(source_[range.begin].begin, source_[range.end - 1].end)};
}

AlignedText AlignedText::part(Range range) const {
  AlignedText part(bytes_.substr(range.begin, range.end - range.begin), base_ + range.begin);
  part.most_ = most_;
  if (!source_.empty()) {
    part.source_.assign(source_.begin() + static_cast<std::ptrdiff_t>(range.begin), source_.begin() + static_cast<std::ptrdiff_t>(range.end));
  }
  return part;
}

Rewriter::Rewriter(const AlignedText& from) : from_(from) {
  out_.most_ = from.most_;
  out_.bytes_.reserve(from.bytes_.size() + from.bytes_.size() / 8);
  out_.source_.reserve(from.bytes_.size() + from.bytes_.size() / 8);
}

void Rewriter::keep(Range range) {
  out_.bytes_.append(from_.bytes_, range.begin, range.end - range.begin);
  if (!from_.source_.empty()) {
    out_.source_.insert(out_.source_.end(), from_.source_.begin() + static_cast<std::ptrdiff_t>(range.begin),
                        from_.source_.begin() + static_cast<std::ptrdiff_t>(range.end));
    return;
  }
  for (std::size_t at = range.begin; at < range.end;) {
    const auto bytes = static_cast<std::uint32_t>(code_point_at(from_.bytes_, at).bytes);
    const auto begin = static_cast<std::uint32_t>(from_.base_ + at);
    out_.source_.insert(out_.source_.end(), bytes, {begin, begin + bytes});
    at += bytes;
  }
}

void Rewriter::replace(std::string_view bytes, Range range) {
  if (out_.bytes_.size() + bytes.size() > out_.most_) {
    throw Error(ErrorCode::kResourceExhausted, cat("the tokenizer makes more than ", human_bytes(static_cast<double>(out_.most_)), " of the text"));
  }
  const Range source = from_.source(range);
  out_.bytes_ += bytes;
  out_.source_.insert(out_.source_.end(), bytes.size(), {static_cast<std::uint32_t>(source.begin), static_cast<std::uint32_t>(source.end)});
}

}  // namespace portfire::text
