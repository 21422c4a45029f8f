#include "serving/served.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace portfire::serving {

Served::Served(std::string name, std::int64_t version, Loaded model, const ServingOptions& options, Crew& crew)
    : name_(std::move(name)), version_(version), model_(std::move(model)), batcher_(std::make_shared<Batcher>(model_, options.batching, crew)) {
  if (model_.text == nullptr) return;
  text_counters_ = std::make_shared<TextCounters>();
  const Manifest& manifest = *model_.info->manifest;
  length_ = manifest.generation->context;
  const std::int64_t each = GenerationBatch::row_bytes(manifest, length_);
  std::int64_t rows = options.max_texts;
  if (options.max_cache_bytes > 0) rows = std::clamp<std::int64_t>(options.max_cache_bytes / std::max<std::int64_t>(each, 1), 1, rows);
  // A step takes its turn among the calls of all models.
  text_ = std::make_unique<TextWorker>(*model_.engine, manifest, rows, length_, options.batching.max_waiting, [this, &crew](const std::function<void()>& step) {
    crew.run(step_cost_.is_long(), [&](int processors) {
      const std::chrono::nanoseconds before = thread_time();
      step();
      step_cost_.add(thread_time() - before, 1, processors);
    });
  });
}

const TextGeneration& Served::text() const {
  if (model_.text == nullptr) {
    throw Error(ErrorCode::kUnsupported, cat(name_, ": the task is ", info().task, "; only models of text-generation write texts"));
  }
  return *model_.text;
}

std::shared_ptr<Ticket> Served::write(const Input& prompt, const GenerateOptions& options, std::function<void(Ticket&)> told,
                                      std::vector<std::int64_t>* prompt_ids, std::int64_t likeliest) const {
  std::unique_ptr<Writing> writing = text().start(prompt, options, length_, likeliest);
  const std::uint64_t tokens = writing->prompt().ids.size();
  if (prompt_ids != nullptr) *prompt_ids = writing->prompt().ids;
  // Counted before anybody is told: who has the answer finds it counted.
  // What a prompt is like; counted when it has been read.
  const std::shared_ptr<Drift>& drift = batcher_->drift();
  Drift::Values seen = drift ? drift->of_tokens(writing->prompt().ids) : Drift::Values();
  return text_->submit(std::move(writing), [drift, seen = std::move(seen), counters = text_counters_, tokens, begun = Clock::now(), is_read = false, told = std::move(told)](Ticket& ticket) mutable {
    const Ticket::Count count = ticket.count();
    if (count.tokens > 0 && !std::exchange(is_read, true)) {
      counters->first_token.observe(seconds(Clock::now() - begun));
      if (drift) drift->count(seen);
      counters->prompt_tokens.fetch_add(tokens, std::memory_order_relaxed);
    }
    if (count.ended) counters->generated_tokens.fetch_add(static_cast<std::uint64_t>(count.tokens), std::memory_order_relaxed);
    if (count.finished) counters->total.observe(seconds(Clock::now() - begun));
    if (told) told(ticket);
  });
}

std::optional<BatcherStats> Served::text_stats() const {
  if (text_ == nullptr) return std::nullopt;
  return text_->stats();
}

}  // namespace portfire::serving
