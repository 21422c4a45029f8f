#include "tasks/generation/generation_batch.h"

#include <algorithm>
#include <utility>

#include "tasks/generation/logits.h"

namespace portfire {

GenerationBatch::GenerationBatch(const Engine& engine, const Manifest& manifest, std::int64_t rows, std::int64_t length)
    : engine_(engine), manifest_(manifest), capacity_(rows), length_(length), state_(state_of(manifest), rows, length) {
  rows_.reserve(static_cast<std::size_t>(rows));
}

std::int64_t GenerationBatch::row_bytes(const Manifest& manifest, std::int64_t length) { return GenerationState::row_bytes(state_of(manifest), length); }

void GenerationBatch::join(std::shared_ptr<Writing> writing) {
  reserved_ += writing->most_rows();
  members_.push_back({.writing = std::move(writing)});
  reading_.push_back(&members_.back());
}

void GenerationBatch::leave(const Writing& writing) {
  const auto member = std::find_if(members_.begin(), members_.end(), [&](const Member& one) { return one.writing.get() == &writing; });
  if (member != members_.end()) {
    if (member->rows.empty() && member->read > 0) state_.clear(capacity_ - 1);  // nobody looked at what it has come to
    drop(*member);
  }
  close_gaps();
}

void GenerationBatch::drop(Member& member) {
  for (const std::size_t row : member.rows) rows_[row].member = nullptr;
  std::erase(reading_, &member);
  reserved_ -= member.writing->most_rows();
  members_.remove_if([&](const Member& one) { return &one == &member; });
}

void GenerationBatch::fail(Member& member, const std::exception_ptr& error, std::vector<Progress>& progress) {
  progress.push_back({.writing = member.writing, .ended = true, .error = error});
  // What is no number would reach whoever has the row next: 0 times it, in the attention to tokens that are hidden.
  for (const std::size_t row : member.rows) state_.clear(static_cast<std::int64_t>(row));
  if (member.rows.empty()) state_.clear(capacity_ - 1);
  drop(member);
}

std::vector<GenerationBatch::Progress> GenerationBatch::step() {
  std::vector<Progress> progress;
  write(progress);
  read(progress);
  close_gaps();
  return progress;
}

/// A prompt is read into the last row, which is free while one reads: rows are reserved from `join` on.
void GenerationBatch::read(std::vector<Progress>& progress) {
  if (reading_.empty()) return;
  Member& member = *reading_.front();
  const std::vector<std::int64_t>& prompt = member.writing->prompt().ids;
  const auto count = static_cast<std::int64_t>(prompt.size());
  const std::int64_t part = std::min(kPart, count - member.read);
  const Reading reading{.first_row = capacity_ - 1,
                        .ids = {prompt.begin() + member.read, prompt.begin() + member.read + part},
                        .positions = counted(member.read, part), .select = {part - 1}};
  try {
    if (member.read == 0) state_.begin(capacity_ - 1);
    const Tensor logits = logits_after(engine_, manifest_, state_, reading, length_);
    member.read += part;
    if (member.read < count) return;
    reading_.pop_front();
    member.length = count;
    advance(member, logits.values<float>(), progress);
  } catch (...) {
    fail(member, std::current_exception(), progress);
  }
}

void GenerationBatch::write(std::vector<Progress>& progress) {
  if (rows_.empty()) return;
  Reading reading{.rows = rows(), .ids = {}, .positions = {}, .select = counted(0, rows())};
  for (const Row& row : rows_) {
    reading.ids.push_back(row.token);
    reading.positions.push_back(row.member->length);
  }
  Members::iterator next;
  const auto each = [&](auto&& act) {  // who fails or ends is gone afterwards
    for (auto member = members_.begin(); member != members_.end(); member = next) {
      next = std::next(member);
      if (!member->rows.empty()) act(*member);
    }
  };
  Tensor logits;
  try {
    logits = logits_after(engine_, manifest_, state_, reading, length_);
  } catch (...) {
    each([&](Member& member) { fail(member, std::current_exception(), progress); });
    return;
  }
  const std::span<const float> all = logits.values<float>();
  const auto width = static_cast<std::size_t>(vocabulary_of(manifest_));
  each([&](Member& member) {
    std::vector<float> own;
    for (const std::size_t row : member.rows) own.insert(own.end(), all.begin() + static_cast<std::ptrdiff_t>(row * width), all.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    ++member.length;
    try {
      advance(member, own, progress);
    } catch (...) {
      fail(member, std::current_exception(), progress);
    }
  });
}

void GenerationBatch::advance(Member& member, std::span<const float> logits, std::vector<Progress>& progress) {
  const std::vector<Continuation> next = member.writing->advance(logits);
  progress.push_back({.writing = member.writing, .ended = next.empty()});
  const std::vector<std::size_t> from = member.rows.empty() ? std::vector{static_cast<std::size_t>(capacity_) - 1} : member.rows;
  if (next.empty()) {
    drop(member);
  } else {
    place(member, from, next);
  }
}

/// The first row that comes from another stays where that is; further ones are copied to rows that nobody has.
void GenerationBatch::place(Member& member, const std::vector<std::size_t>& from, const std::vector<Continuation>& next) {
  const bool was_read = member.rows.empty();
  for (const std::size_t row : member.rows) rows_[row].member = nullptr;
  std::vector<std::size_t> rows(next.size());
  std::vector<std::size_t> copied;
  for (std::size_t k = 0; k < next.size(); ++k) {
    const std::size_t row = from[next[k].parent];
    if (was_read || rows_[row].member != nullptr) {
      copied.push_back(k);
      continue;
    }
    rows_[row] = {.member = &member, .number = k, .token = next[k].token};
    rows[k] = row;
  }
  for (const std::size_t k : copied) {
    auto free = std::find_if(rows_.begin(), rows_.end(), [](const Row& row) { return row.member == nullptr; });
    if (free == rows_.end()) free = rows_.insert(free, Row{});
    const auto row = static_cast<std::size_t>(free - rows_.begin());
    state_.copy(static_cast<std::int64_t>(from[next[k].parent]), static_cast<std::int64_t>(row), member.length);
    *free = {.member = &member, .number = k, .token = next[k].token};
    rows[k] = row;
  }
  member.rows = std::move(rows);
}

void GenerationBatch::close_gaps() {
  for (std::size_t row = 0; row < rows_.size();) {
    if (rows_[row].member != nullptr) {
      ++row;
      continue;
    }
    const Row last = rows_.back();
    if (last.member != nullptr) {
      state_.copy(static_cast<std::int64_t>(rows_.size()) - 1, static_cast<std::int64_t>(row), last.member->length);
      last.member->rows[last.number] = row;
      rows_[row] = last;
    }
    rows_.pop_back();
  }
}

}  // namespace portfire
