#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include <portfire/manifest.h>

#include "core/engine.h"
#include "tasks/generation/state.h"
#include "tasks/generation/writing.h"

namespace portfire {

/// Texts of many prompts that are written together: each step is one call of `forward` for all of them. They join and leave
/// between steps; what a text says does not depend on who shares the batch. Refers to the engine and the manifest. One
/// thread at a time.
class GenerationBatch {
 public:
  /// State for `rows` texts of at most `length` tokens, all of it from the beginning on.
  GenerationBatch(const Engine& engine, const Manifest& manifest, std::int64_t rows, std::int64_t length);
  GenerationBatch(const GenerationBatch&) = delete;
  GenerationBatch& operator=(const GenerationBatch&) = delete;
  GenerationBatch(GenerationBatch&&) = default;

  /// Whether there are as many rows free as `writing` may come to need.
  [[nodiscard]] bool takes(const Writing& writing) const { return reserved_ + writing.most_rows() <= capacity_; }
  /// Its prompt and text fit the length, and there are rows free for it.
  void join(std::shared_ptr<Writing> writing);
  /// Frees its rows. Nothing where it is not there.
  void leave(const Writing& writing);

  struct Progress {
    std::shared_ptr<Writing> writing;
    bool ended = false;             ///< it is not in the batch any more
    std::exception_ptr error = {};  ///< why, where it ended by a failure
  };
  /// Reads of the prompt that waits longest, at most `kPart` tokens, and writes one token more of each text whose prompt
  /// had been read before. Those that came further.
  std::vector<Progress> step();

  [[nodiscard]] bool empty() const noexcept { return members_.empty(); }
  [[nodiscard]] std::int64_t rows() const noexcept { return static_cast<std::int64_t>(rows_.size()); }  ///< texts that go on
  [[nodiscard]] std::int64_t capacity() const noexcept { return capacity_; }
  /// The bytes of state that a row takes.
  static std::int64_t row_bytes(const Manifest& manifest, std::int64_t length);

  static constexpr std::int64_t kPart = 512;

 private:
  struct Member {
    std::shared_ptr<Writing> writing;
    std::int64_t read = 0;           ///< of the prompt
    std::int64_t length = 0;         ///< tokens that the state holds of each row
    std::vector<std::size_t> rows{}; ///< where its rows lie in the batch
  };
  struct Row {
    Member* member = nullptr;  ///< nullptr: nobody's
    std::size_t number = 0;    ///< among its member's
    std::int64_t token = 0;    ///< which `forward` is to see next
  };
  using Members = std::list<Member>;

  void read(std::vector<Progress>& progress);
  void write(std::vector<Progress>& progress);
  /// The member's rows from the logits of those it has; `from` are where these lie.
  void advance(Member& member, std::span<const float> logits, std::vector<Progress>& progress);
  void place(Member& member, const std::vector<std::size_t>& from, const std::vector<Continuation>& next);
  /// The last rows move to where nobody's are.
  void close_gaps();
  void drop(Member& member);
  void fail(Member& member, const std::exception_ptr& error, std::vector<Progress>& progress);

  const Engine& engine_;
  const Manifest& manifest_;
  std::int64_t capacity_;
  std::int64_t length_;
  GenerationState state_;
  Members members_;             ///< those that read come in their order, the first reads
  std::deque<Member*> reading_;
  std::vector<Row> rows_;
  std::int64_t reserved_ = 0;
};

}  // namespace portfire
