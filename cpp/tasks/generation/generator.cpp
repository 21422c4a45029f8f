#include "tasks/generation/generator.h"

#include <utility>

namespace portfire {

Generator::Generator(const Engine& engine, const Manifest& manifest, std::unique_ptr<Writing> writing)
    : writing_(std::move(writing)), batch_(engine, manifest, writing_->most_rows(), writing_->prompt().length()) {
  batch_.join(writing_);
}

bool Generator::step() {
  for (const GenerationBatch::Progress& progress : batch_.step()) {
    if (progress.error) std::rethrow_exception(progress.error);
  }
  return !batch_.empty();
}

std::string Generator::take_text() {
  const std::string& text = writing_->first().text;
  return text.substr(std::exchange(taken_, text.size()));
}

void Generator::cancel() {
  writing_->cancel();
  batch_.leave(*writing_);
}

}  // namespace portfire
