#include "tasks/generation/sampling.h"

#include <utility>

namespace portfire {

Sampling::Sampling(Prompt prompt, const WrittenText& begin) : prompt_(std::move(prompt)) {
  for (std::int64_t k = 0; k < prompt_.options.num_sequences; ++k) {
    texts_.push_back(begin);
    samplers_.emplace_back(prompt_.options, prompt_.ids, static_cast<std::uint64_t>(k));
  }
}

std::vector<Continuation> Sampling::advance(std::span<const float> logits) {
  const bool first = texts_.front().text().ids.empty();  // all texts go on from the one row of the prompt
  const std::size_t count = first ? texts_.size() : rows_.size();
  const auto width = static_cast<std::size_t>(prompt_.vocabulary);
  std::vector<Continuation> next;
  std::vector<std::size_t> rows;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t parent = first ? 0 : k;
    const std::size_t sequence = first ? k : rows_[k];
    if (!accept(sequence, logits.subspan(parent * width, width))) continue;
    next.push_back({.parent = parent, .token = texts_[sequence].text().ids.back()});
    rows.push_back(sequence);
  }
  rows_ = std::move(rows);
  return next;
}

bool Sampling::accept(std::size_t sequence, std::span<const float> logits) {
  const Sampler::Choice choice = samplers_[sequence].next(logits);
  if (sequence == 0 && prompt_.likeliest > 0) likeliest_.push_back(most_likely(logits, prompt_.likeliest));
  WrittenText& text = texts_[sequence];
  const bool is_stop = prompt_.is_stop(choice.id);
  text.push(choice.id, choice.log_probability, is_stop);
  if (is_stop || text.stopped()) {
    text.end("stop");
  } else if (static_cast<std::int64_t>(text.text().ids.size()) >= prompt_.most_new) {
    text.end("length");
  }
  return !text.ended();
}

void Sampling::cancel() {
  for (WrittenText& text : texts_) text.end("cancelled");
  rows_.clear();
}

Generation Sampling::result() const {
  Generation generation;
  for (const WrittenText& text : texts_) generation.sequences.push_back(text.text());
  return generation;
}

}  // namespace portfire
