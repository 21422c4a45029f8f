#include <portfire/text_batcher.h>

#include <algorithm>
#include <string>
#include <utility>

#include <portfire/error.h>

#include "api/model_impl.h"
#include "api/text_stream.h"
#include "core/text.h"
#include "serving/text_worker.h"
#include "tasks/text_generation.h"

namespace portfire {
namespace {

constexpr std::int64_t kMostSequences = 4096;

/// A text that a batcher writes.
class SharedText final : public TextStream::Impl {
 public:
  explicit SharedText(std::shared_ptr<Ticket> ticket) : ticket_(std::move(ticket)) {}
  ~SharedText() override { ticket_->cancel(); }

  std::optional<std::string> next() override { return ticket_->next(); }
  void cancel() override { ticket_->cancel(); }
  [[nodiscard]] GeneratedText result() const override { return ticket_->first(); }

 private:
  std::shared_ptr<Ticket> ticket_;
};

void check(const BatcherOptions& options) {
  const auto require = [](bool holds, const std::string& name, std::int64_t value, const std::string& allowed) {
    if (!holds) throw Error(ErrorCode::kInvalidArgument, cat(name, " is ", value, "; ", allowed));
  };
  require(options.max_sequences >= 1 && options.max_sequences <= kMostSequences, "max_sequences", options.max_sequences, cat("1 to ", kMostSequences));
  require(options.max_tokens >= 0, "max_tokens", options.max_tokens, "0 (the package's context) or more");
  require(options.max_cache_bytes >= 0, "max_cache_bytes", options.max_cache_bytes, "0 (no bound) or more");
  require(options.max_waiting >= 1, "max_waiting", options.max_waiting, "1 or more");
}

std::int64_t length_for(const Manifest& manifest, const BatcherOptions& options) {
  const std::int64_t context = manifest.generation->context;
  return options.max_tokens > 0 ? std::min(options.max_tokens, context) : context;
}

std::int64_t rows_for(const Manifest& manifest, const BatcherOptions& options) {
  if (options.max_cache_bytes == 0) return options.max_sequences;
  const std::int64_t each = GenerationBatch::row_bytes(manifest, length_for(manifest, options));
  if (each > options.max_cache_bytes) {
    throw Error(ErrorCode::kInvalidArgument, cat("max_cache_bytes is ", options.max_cache_bytes, "; one text of ", length_for(manifest, options), " tokens takes ", each,
                                                 ": allow more, or set max_tokens lower"));
  }
  return std::min(options.max_sequences, options.max_cache_bytes / each);
}

}  // namespace

struct TextBatcher::Impl {
  Model model;
  const TextGeneration& task;
  std::int64_t length;
  TextWorker worker;

  Impl(const Model& shared, const Engine& engine, const TextGeneration& writes, const BatcherOptions& options)
      : model(shared), task(writes), length(length_for(*model.info().manifest, options)),
        worker(engine, *model.info().manifest, rows_for(*model.info().manifest, options), length, options.max_waiting) {}

  std::shared_ptr<Ticket> submit(const Input& prompt, const GenerateOptions& options) { return worker.submit(task.start(prompt, options, length)); }
};

TextBatcher::TextBatcher(const Model& model, const BatcherOptions& options) {
  check(options);
  const TextGeneration& task = model.impl_->text_generation();
  try {
    impl_ = std::make_unique<Impl>(model, *model.impl_->engine, task, options);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kResourceExhausted) throw;
    throw Error(error.code(), cat(error.what(), ", what the model keeps of all texts; set max_sequences, max_tokens or max_cache_bytes lower"));
  }
}

TextBatcher::~TextBatcher() = default;
TextBatcher::TextBatcher(TextBatcher&& other) noexcept = default;
TextBatcher& TextBatcher::operator=(TextBatcher&& other) noexcept = default;

Generation TextBatcher::generate(const Input& prompt, const GenerateOptions& options, const std::function<bool()>& cancelled) {
  const std::shared_ptr<Ticket> ticket = impl_->submit(prompt, options);
  if (cancelled && !ticket->wait_unless(cancelled)) throw Error(ErrorCode::kCancelled, cat(prompt.name(), ": given up before its end"));
  return ticket->wait();
}

TextStream TextBatcher::stream(const Input& prompt, const GenerateOptions& options) {
  require_one_text(options);
  return TextStream(std::make_unique<SharedText>(impl_->submit(prompt, options)));
}

BatcherStats TextBatcher::stats() const { return impl_->worker.stats(); }

}  // namespace portfire
