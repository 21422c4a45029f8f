#pragma once

#include <cstdint>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <portfire/error.h>
#include <portfire/generate.h>
#include <portfire/manifest.h>
#include <portfire/text_batcher.h>

#include "core/engine.h"
#include "tasks/generation/generation_batch.h"

namespace portfire {

/// One more token of a text.
struct WrittenToken {
  std::int64_t id = 0;
  float log_probability = 0;
  std::vector<LikelyToken> likeliest{};  ///< as `Prompt::likeliest` asks for them
};

/// The texts of one prompt, between the thread that writes them and who waits for them. Thread-safe.
class Ticket {
 public:
  /// What has become certain of the first text since the last call; nothing at its end. Throws why the texts could not be
  /// written.
  std::optional<std::string> next();
  /// Waits for the end. Throws as `next`.
  Generation wait();
  /// Waits for the end too; `cancelled` is asked some twenty times a second meanwhile, on this thread. When it says so, asks for the
  /// end and gives false at once.
  bool wait_unless(const std::function<bool()>& cancelled);
  /// Asks for the end, and does not wait for it.
  void cancel();
  /// As far as it has come; waits for the end that was asked for.
  [[nodiscard]] GeneratedText first() const;

  /// What has become certain of the first text since the last call, without waiting. Throws as `next`.
  struct Part {
    std::string text;
    bool ended = false;
    std::vector<WrittenToken> tokens{};  ///< their text may come with a later part
  };
  Part take();
  /// Of a text that has ended. Throws as `next`.
  [[nodiscard]] Generation result() const;

  struct Count {
    std::int64_t tokens = 0;  ///< of the first text; once it has ended, of all
    bool ended = false;
    bool finished = false;    ///< ended by itself: neither cancelled nor by a failure
  };
  [[nodiscard]] Count count() const;

 private:
  friend class TextWorker;

  /// Takes over what has come of the tokens that could have.
  void publish_likeliest(const Writing& writing);
  /// Takes over what has come.
  void publish(const Writing& writing);
  void end(const Writing& writing, std::optional<Error> error);
  [[nodiscard]] bool cancelled() const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  GeneratedText first_;
  std::vector<std::vector<LikelyToken>> likeliest_;
  std::size_t taken_ = 0;  ///< bytes of its text
  std::size_t taken_tokens_ = 0;
  std::optional<Generation> result_;
  std::optional<Error> error_;
  bool ended_ = false;
  bool cancelled_ = false;
  std::function<void(Ticket&)> told_;
};

/// A thread that steps a batch for as long as anybody's text is not at its end. Refers to the engine and the manifest.
/// Thread-safe.
class TextWorker {
 public:
  /// Calls what it is given, at once or in its turn, and gives back when that is done.
  using Runner = std::function<void(const std::function<void()>&)>;

  /// `runner`, where it is given, runs each step.
  TextWorker(const Engine& engine, const Manifest& manifest, std::int64_t rows, std::int64_t length, std::int64_t max_waiting, Runner runner = {});
  /// Ends all texts as cancelled.
  ~TextWorker();
  TextWorker(const TextWorker&) = delete;
  TextWorker& operator=(const TextWorker&) = delete;

  /// In the order of the calls. Throws kInvalidArgument on more rows than there are, kOverloaded where too many wait.
  /// `told` is called, where it is given, whenever there may be more to take, on the thread that writes: it must neither
  /// wait nor throw.
  std::shared_ptr<Ticket> submit(std::shared_ptr<Writing> writing, std::function<void(Ticket&)> told = {});
  [[nodiscard]] BatcherStats stats() const;

 private:
  struct Request {
    std::shared_ptr<Writing> writing;
    std::shared_ptr<Ticket> ticket;
  };

  void work();
  /// Waits for something to do; false when there will be nothing more.
  bool take_requests();
  void drop_cancelled();
  void step();
  void end(const std::shared_ptr<Writing>& writing, std::optional<Error> error, std::int64_t BatcherStats::*count);
  /// Ends those that run: with the error, or as cancelled.
  void end_all(const std::optional<Error>& error);

  const std::int64_t max_waiting_;
  const Runner runner_;
  mutable std::mutex mutex_;
  std::condition_variable work_to_do_;
  std::deque<Request> waiting_;  ///< under mutex_, as these two
  BatcherStats stats_;
  bool stopping_ = false;
  GenerationBatch batch_;                                                      ///< the thread's own, as what follows
  std::map<std::shared_ptr<Writing>, std::shared_ptr<Ticket>> running_;
  std::thread thread_;
};

}  // namespace portfire
