#include "tasks/generation/beam_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tasks/generation/likelihood.h"

namespace portfire {

BeamSearch::BeamSearch(Prompt prompt, const WrittenText& begin) : prompt_(std::move(prompt)) {
  beams_.push_back({.text = begin, .penalties = Sampler(prompt_.options, prompt_.ids, 0)});
}

float BeamSearch::by_length(float score, std::int64_t length) const {
  return score / static_cast<float>(std::pow(static_cast<double>(length), prompt_.options.length_penalty));
}

/// So many that `num_beams` of them go on even if every stop token is among them; the best first.
std::vector<BeamSearch::Candidate> BeamSearch::candidates(std::span<const float> logits) const {
  const auto width = static_cast<std::size_t>(prompt_.vocabulary);
  const auto count = std::max<std::size_t>(2, 1 + prompt_.options.stop_tokens.size()) * static_cast<std::size_t>(prompt_.options.num_beams);
  std::vector<Candidate> best;
  std::vector<std::size_t> order(width);
  for (std::size_t beam = 0; beam < beams_.size(); ++beam) {
    const std::vector<float> bare = log_softmax(logits.subspan(beam * width, width));
    const std::vector<float> scores = beams_[beam].penalties.processed(bare);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, width));
    std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    for (auto token = order.begin(); token != end; ++token) {
      best.push_back({.beam = beam, .token = static_cast<std::int64_t>(*token), .score = beams_[beam].score + scores[*token], .log_probability = bare[*token]});
    }
  }
  std::stable_sort(best.begin(), best.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  best.resize(std::min(best.size(), count));
  return best;
}

BeamSearch::Beam BeamSearch::extended(const Candidate& candidate) const {
  Beam beam = beams_[candidate.beam];
  beam.score = candidate.score;
  beam.text.push(candidate.token, candidate.log_probability, prompt_.is_stop(candidate.token));
  beam.penalties.count(candidate.token);
  return beam;
}

std::vector<Continuation> BeamSearch::advance(std::span<const float> logits) {
  const auto most = static_cast<std::size_t>(prompt_.options.num_beams);
  ++written_;
  std::vector<Beam> next;
  std::vector<Continuation> rows;
  std::size_t rank = 0;
  for (const Candidate& candidate : candidates(logits)) {
    const bool may_finish = rank++ < most;
    if (!may_finish && next.size() == most) continue;
    Beam beam = extended(candidate);
    const bool stops = prompt_.is_stop(candidate.token) || beam.text.stopped();
    if (stops || written_ >= prompt_.most_new) {
      if (!may_finish) continue;
      beam.text.end(stops ? "stop" : "length");
      finish(std::move(beam.text), by_length(beam.score, written_));
    } else if (next.size() < most) {
      rows.push_back({.parent = candidate.beam, .token = candidate.token});
      next.push_back(std::move(beam));
    }
  }
  beams_ = std::move(next);
  if (!may_improve() && !finished_.empty()) {
    beams_.clear();
    rows.clear();
  }
  return rows;
}

void BeamSearch::finish(WrittenText text, float score) {
  const auto worse = [&](const Finished& other) { return other.score < score; };
  finished_.insert(std::find_if(finished_.begin(), finished_.end(), worse), {.text = std::move(text), .score = score});
  if (finished_.size() > static_cast<std::size_t>(prompt_.options.num_beams)) finished_.pop_back();
}

/// Whether the best beginning could, by what it has so far, still beat the worst of the finished texts; or need not be asked.
bool BeamSearch::may_improve() const {
  if (beams_.empty()) return false;
  if (!full()) return true;
  if (prompt_.options.early_stopping == EarlyStopping::kYes) return false;
  const bool to_the_end = prompt_.options.early_stopping == EarlyStopping::kNever && prompt_.options.length_penalty > 0;
  return by_length(beams_.front().score, to_the_end ? prompt_.most_new : written_) > finished_.back().score;
}

void BeamSearch::cancel() {
  for (Beam& beam : beams_) {
    beam.text.end("cancelled");
    if (!full()) finish(std::move(beam.text), by_length(beam.score, std::max<std::int64_t>(written_, 1)));
  }
  beams_.clear();
}

Generation BeamSearch::result() const {
  Generation generation;
  const auto count = static_cast<std::size_t>(prompt_.options.num_sequences);
  for (const Finished& one : finished_) {
    if (generation.sequences.size() < count) generation.sequences.push_back(one.text.text());
  }
  if (generation.sequences.empty()) generation.sequences.push_back(first());
  return generation;
}

}  // namespace portfire
