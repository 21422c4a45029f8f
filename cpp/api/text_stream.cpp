#include "api/text_stream.h"

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {

TextStream::TextStream(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&& other) noexcept = default;
TextStream& TextStream::operator=(TextStream&& other) noexcept = default;

std::optional<std::string> TextStream::next() { return impl_->next(); }
void TextStream::cancel() { impl_->cancel(); }
GeneratedText TextStream::result() const { return impl_->result(); }

std::optional<std::string> OwnText::next() {
  const std::lock_guard lock(mutex_);
  for (obey(); generator_; obey()) {
    const bool goes_on = generator_->step();
    std::string part = generator_->take_text();
    if (!goes_on) end();
    if (!part.empty()) return part;
  }
  return std::nullopt;
}

void OwnText::cancel() {
  cancelled_ = true;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock) obey();
}

void OwnText::obey() const {
  if (!cancelled_ || !generator_) return;
  generator_->cancel();
  end();
}

void OwnText::end() const {
  text_ = generator_->result().sequences.front();
  generator_.reset();
}

GeneratedText OwnText::result() const {
  const std::lock_guard lock(mutex_);
  obey();
  return generator_ ? generator_->result().sequences.front() : text_;
}

void require_one_text(const GenerateOptions& options) {
  if (options.num_sequences != 1) throw Error(ErrorCode::kInvalidArgument, cat("num_sequences is ", options.num_sequences, "; a stream is of one text"));
  if (options.num_beams > 1) {
    throw Error(ErrorCode::kInvalidArgument, cat("num_beams is ", options.num_beams, "; beam search knows its text only at the end, so there is no stream of it"));
  }
}

Generation Model::generate(const Input& prompt, const GenerateOptions& options, const std::function<bool(std::string_view)>& on_text) const {
  TextStream text = stream(prompt, options);
  while (const std::optional<std::string> part = text.next()) {
    if (on_text(*part)) continue;
    text.cancel();
    break;
  }
  return {{text.result()}};
}

}  // namespace portfire
