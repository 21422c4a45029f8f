#include "api/text_stream.h"

namespace portfire {

TextStream::TextStream(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&& other) noexcept = default;
TextStream& TextStream::operator=(TextStream&& other) noexcept = default;

std::optional<std::string> TextStream::next() {
  while (impl_->generator) {
    const bool goes_on = impl_->generator->step();
    std::string part = impl_->generator->take_text(0);
    if (!goes_on) impl_->end();
    if (!part.empty()) return part;
  }
  return std::nullopt;
}

void TextStream::cancel() {
  if (!impl_->generator) return;
  impl_->generator->cancel();
  impl_->end();
}

GeneratedText TextStream::result() const { return impl_->generator ? impl_->generator->result().sequences.front() : impl_->text; }

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
