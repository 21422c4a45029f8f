#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include <portfire/model.h>

#include "tasks/generation/generator.h"

namespace portfire {

/// Where the parts of a text come from.
struct TextStream::Impl {
  virtual ~Impl() = default;
  virtual std::optional<std::string> next() = 0;
  virtual void cancel() = 0;
  [[nodiscard]] virtual GeneratedText result() const = 0;
};

/// A text that is written by itself, in `next`.
class OwnText final : public TextStream::Impl {
 public:
  OwnText(Model shared, Generator started) : model_(std::move(shared)), generator_(std::move(started)) {}

  std::optional<std::string> next() override;
  void cancel() override;
  [[nodiscard]] GeneratedText result() const override;

 private:
  void end() const;
  /// Nobody writes: what is asked for is done.
  void obey() const;

  Model model_;  ///< which the generator refers to
  std::atomic<bool> cancelled_ = false;
  mutable std::mutex mutex_;                    ///< held while a part is written
  mutable std::optional<Generator> generator_;  ///< nothing once the text has ended
  mutable GeneratedText text_;
};

/// Throws kInvalidArgument where more than one text is asked for: a stream is of one, as it is written.
void require_one_text(const GenerateOptions& options);

}  // namespace portfire
