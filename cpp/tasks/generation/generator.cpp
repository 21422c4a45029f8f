#include "tasks/generation/generator.h"

#include <algorithm>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

constexpr std::int64_t kBlock = 64;  // tokens by which the part of the cache grows that `forward` sees

const MethodSpec& forward_of(const Manifest& manifest) { return *manifest.method("forward"); }

std::span<const TensorSpec> state_of(const Manifest& manifest) { return std::span(forward_of(manifest).inputs).subspan(3); }

std::int64_t vocabulary_of(const Manifest& manifest) { return forward_of(manifest).outputs.front().shape.back().size; }

/// ids [N, S] at `positions`, the logits after tokens `select` of them, float32 [R, V] on the CPU.
Tensor forward(const Engine& engine, const Manifest& manifest, const GenerationState& state, std::int64_t first_row, std::int64_t rows,
               const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& positions, const std::vector<std::int64_t>& select,
               std::int64_t room) {
  const auto count = static_cast<std::int64_t>(ids.size());
  const std::int64_t reached = *std::max_element(positions.begin(), positions.end()) + 1;
  const std::int64_t seen = std::min(room, (reached + kBlock - 1) / kBlock * kBlock);
  std::vector<Tensor> inputs{Tensor::copy_of(ids, {rows, count / rows}), Tensor::copy_of(positions, {rows, count / rows}),
                             Tensor::copy_of(select, {static_cast<std::int64_t>(select.size())})};
  for (Tensor& part : state.view(first_row, rows, seen)) inputs.push_back(std::move(part));
  const std::vector<Tensor> outputs = engine.forward_in_place(inputs);
  const Dims wanted{static_cast<std::int64_t>(select.size()), vocabulary_of(manifest)};
  if (outputs.empty() || outputs[0].dtype() != DType::kFloat32 || outputs[0].shape() != wanted) {
    throw Error(ErrorCode::kInvalidPackage, cat(manifest.name, ": forward gave ", outputs.empty() ? "nothing" : outputs[0].to_string(0),
                                                "; logits float32 ", wanted.to_string(), " are needed"));
  }
  return engine.to_cpu(outputs[0]).contiguous();
}

std::vector<std::int64_t> counted(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t k = 0; k < count; ++k) numbers.push_back(first + k);
  return numbers;
}

std::int64_t room_for(const Manifest& manifest, std::size_t prompt, const GenerateOptions& options) {
  const std::int64_t left = manifest.generation->context - static_cast<std::int64_t>(prompt);
  return static_cast<std::int64_t>(prompt) + std::min(left, options.max_new_tokens);
}

}  // namespace

Generator::Generator(const Engine& engine, const Manifest& manifest, const Tokenizer& tokenizer, std::vector<std::int64_t> prompt,
                     const GenerateOptions& options)
    : engine_(engine),
      manifest_(manifest),
      prompt_(std::move(prompt)),
      options_((check_options(options), options)),
      vocabulary_(vocabulary_of(manifest)),
      room_(room_for(manifest, prompt_.size(), options)),
      state_(state_of(manifest), options.num_sequences, room_) {
  for (const std::int64_t token : options.stop_tokens) {
    if (token < 0 || token >= vocabulary_) {
      throw Error(ErrorCode::kInvalidArgument, cat("stop token ", token, "; ", manifest.name, " has 0 to ", vocabulary_ - 1));
    }
  }
  DecodeStream decoder(tokenizer);
  for (const std::int64_t id : prompt_) (void)decoder.push(id);  // a token's text may depend on the one before it
  for (std::int64_t k = 0; k < options.num_sequences; ++k) {
    sequences_.push_back({.text = {}, .sampler = Sampler(options_, prompt_, vocabulary_, static_cast<std::uint64_t>(k)),
                          .decoder = decoder, .stops = StopStrings(options.stop), .untaken = {}});
    rows_.push_back(static_cast<std::size_t>(k));
  }
}

void Generator::start() {
  started_ = true;
  const auto count = static_cast<std::int64_t>(prompt_.size());
  const Tensor logits = forward(engine_, manifest_, state_, 0, 1, prompt_, counted(0, count), {count - 1}, room_);
  for (std::int64_t row = 1; row < options_.num_sequences; ++row) state_.copy(0, row);
  for (Sequence& sequence : sequences_) accept(sequence, logits.values<float>());
}

bool Generator::step() {
  if (rows_.empty()) return false;
  if (!started_) {
    start();
  } else {
    std::vector<std::int64_t> ids;
    std::vector<std::int64_t> positions;
    for (const std::size_t k : rows_) {
      const std::vector<std::int64_t>& text = sequences_[k].text.ids;
      ids.push_back(text.back());
      positions.push_back(static_cast<std::int64_t>(prompt_.size() + text.size()) - 1);
    }
    const auto count = static_cast<std::int64_t>(rows_.size());
    const Tensor logits = forward(engine_, manifest_, state_, 0, count, ids, positions, counted(0, count), room_);
    const std::span<const float> all = logits.values<float>();
    const auto width = static_cast<std::size_t>(vocabulary_);
    for (std::size_t row = 0; row < rows_.size(); ++row) accept(sequences_[rows_[row]], all.subspan(row * width, width));
  }
  compact();
  return !rows_.empty();
}

void Generator::accept(Sequence& sequence, std::span<const float> logits) {
  const Sampler::Choice choice = sequence.sampler.next(logits);
  sequence.text.ids.push_back(choice.id);
  sequence.text.log_probabilities.push_back(choice.log_probability);
  const auto ends = [&](const std::vector<std::int64_t>& tokens) { return std::find(tokens.begin(), tokens.end(), choice.id) != tokens.end(); };
  if (ends(manifest_.generation->stop_tokens) || ends(options_.stop_tokens)) {
    end(sequence, "stop");
    return;
  }
  const std::string part = sequence.stops.push(sequence.decoder.push(choice.id));
  sequence.text.text += part;
  sequence.untaken += part;
  const auto written = static_cast<std::int64_t>(sequence.text.ids.size());
  if (sequence.stops.found()) {
    end(sequence, "stop");
  } else if (written >= options_.max_new_tokens || static_cast<std::int64_t>(prompt_.size()) + written >= room_) {
    end(sequence, "length");
  }
}

void Generator::end(Sequence& sequence, const std::string& reason) {
  if (sequence.ended) return;
  sequence.ended = true;
  sequence.text.finish_reason = reason;
  if (sequence.stops.found()) return;
  std::string rest = sequence.stops.push(sequence.decoder.finish());
  if (!sequence.stops.found()) rest += sequence.stops.finish();
  sequence.text.text += rest;
  sequence.untaken += rest;
}

void Generator::compact() {
  for (std::size_t row = 0; row < rows_.size();) {
    if (!sequences_[rows_[row]].ended) {
      ++row;
      continue;
    }
    if (row + 1 < rows_.size()) state_.copy(static_cast<std::int64_t>(rows_.size()) - 1, static_cast<std::int64_t>(row));
    rows_[row] = rows_.back();
    rows_.pop_back();
  }
}

void Generator::cancel() {
  for (Sequence& sequence : sequences_) end(sequence, "cancelled");
  rows_.clear();
}

std::string Generator::take_text(std::size_t k) { return std::exchange(sequences_.at(k).untaken, {}); }

Generation Generator::result() const {
  Generation generation;
  for (const Sequence& sequence : sequences_) generation.sequences.push_back(sequence.text);
  return generation;
}

Tensor Generator::score(const Engine& engine, const Manifest& manifest, std::span<const std::int64_t> ids) {
  const auto count = static_cast<std::int64_t>(ids.size()) - 1;
  const std::int64_t together = (count + 1) / 2;
  GenerationState state(state_of(manifest), 1, count);
  const std::int64_t vocabulary = vocabulary_of(manifest);
  Tensor all = Tensor::zeros(DType::kFloat32, {count, vocabulary});
  auto* target = static_cast<float*>(all.mutable_data());
  for (std::int64_t first = 0; first < count;) {
    const std::int64_t part = first == 0 ? together : 1;
    const std::vector<std::int64_t> some(ids.begin() + first, ids.begin() + first + part);
    const Tensor logits = forward(engine, manifest, state, 0, 1, some, counted(first, part), counted(0, part), count);
    const auto values = logits.values<float>();
    target = std::copy(values.begin(), values.end(), target);
    first += part;
  }
  return all;
}

}  // namespace portfire
