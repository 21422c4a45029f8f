#include "serving/text_worker.h"

#include <chrono>
#include <utility>
#include <vector>

#include "core/text.h"

namespace portfire {
namespace {

Error error_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, error.what()};
  }
}

}  // namespace

std::optional<std::string> Ticket::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_ || first_.text.size() > taken_; });
  if (first_.text.size() > taken_) return first_.text.substr(std::exchange(taken_, first_.text.size()));
  if (error_) throw Error(*error_);
  return std::nullopt;
}

Generation Ticket::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_; });
  if (error_) throw Error(*error_);
  return *result_;
}

Ticket::Part Ticket::take() {
  const std::lock_guard lock(mutex_);
  if (ended_ && error_) throw Error(*error_);
  Part part{.text = first_.text.substr(std::exchange(taken_, first_.text.size())), .ended = ended_};
  for (; taken_tokens_ < first_.ids.size(); ++taken_tokens_) {
    const std::size_t k = taken_tokens_;
    part.tokens.push_back({.id = first_.ids[k], .log_probability = first_.log_probabilities[k], .likeliest = k < likeliest_.size() ? likeliest_[k] : std::vector<LikelyToken>{}});
  }
  return part;
}

Generation Ticket::result() const {
  const std::lock_guard lock(mutex_);
  if (error_) throw Error(*error_);
  return *result_;
}

Ticket::Count Ticket::count() const {
  const std::lock_guard lock(mutex_);
  if (!ended_) return {.tokens = static_cast<std::int64_t>(first_.ids.size())};
  Count count{.tokens = 0, .ended = true, .finished = !error_ && first_.finish_reason != "cancelled"};
  for (const GeneratedText& text : result_->sequences) count.tokens += static_cast<std::int64_t>(text.ids.size());
  return count;
}

bool Ticket::wait_unless(const std::function<bool()>& cancelled) {
  constexpr auto kBetween = std::chrono::milliseconds(50);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kBetween, [&] { return ended_; })) {
    lock.unlock();
    const bool gives_up = cancelled();
    lock.lock();
    if (!gives_up) continue;
    cancelled_ = true;
    return false;
  }
  return true;
}

void Ticket::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
}

GeneratedText Ticket::first() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_ || !cancelled_; });
  return first_;
}

bool Ticket::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

void Ticket::publish(const Writing& writing) {
  const GeneratedText& now = writing.first();
  {
    const std::lock_guard lock(mutex_);
    const auto from = static_cast<std::ptrdiff_t>(first_.ids.size());
    first_.text += now.text.substr(first_.text.size());
    first_.ids.insert(first_.ids.end(), now.ids.begin() + from, now.ids.end());
    first_.log_probabilities.insert(first_.log_probabilities.end(), now.log_probabilities.begin() + from, now.log_probabilities.end());
    publish_likeliest(writing);
  }
  changed_.notify_all();
  if (told_) told_(*this);
}

void Ticket::publish_likeliest(const Writing& writing) {
  const auto all = writing.likeliest();
  likeliest_.insert(likeliest_.end(), all.begin() + static_cast<std::ptrdiff_t>(likeliest_.size()), all.end());
}

void Ticket::end(const Writing& writing, std::optional<Error> error) {
  {
    const std::lock_guard lock(mutex_);
    result_ = writing.result();
    first_ = result_->sequences.front();
    publish_likeliest(writing);
    error_ = std::move(error);
    ended_ = true;
  }
  changed_.notify_all();
  if (told_) told_(*this);
}

TextWorker::TextWorker(const Engine& engine, const Manifest& manifest, std::int64_t rows, std::int64_t length, std::int64_t max_waiting, Runner runner)
    : max_waiting_(max_waiting), runner_(std::move(runner)), batch_(engine, manifest, rows, length) {
  stats_.max_sequences = rows;
  stats_.cache_bytes = rows * GenerationBatch::row_bytes(manifest, length);
  thread_ = std::thread([this] { work(); });
}

TextWorker::~TextWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_to_do_.notify_all();
  thread_.join();
}

std::shared_ptr<Ticket> TextWorker::submit(std::shared_ptr<Writing> writing, std::function<void(Ticket&)> told) {
  if (writing->most_rows() > batch_.capacity()) {
    const char* name = writing->prompt().options.num_beams > 1 ? "num_beams" : "num_sequences";
    throw Error(ErrorCode::kInvalidArgument, cat(name, " is ", writing->most_rows(), "; this batcher writes ", batch_.capacity(), " texts at once"));
  }
  auto ticket = std::make_shared<Ticket>();
  ticket->told_ = std::move(told);
  {
    const std::lock_guard lock(mutex_);
    if (static_cast<std::int64_t>(waiting_.size()) >= max_waiting_) {
      throw Error(ErrorCode::kOverloaded, cat(waiting_.size(), " prompts wait already, of ", max_waiting_, " that may; try again later"));
    }
    waiting_.push_back({.writing = std::move(writing), .ticket = ticket});
    stats_.waiting = static_cast<std::int64_t>(waiting_.size());
  }
  work_to_do_.notify_one();
  return ticket;
}

BatcherStats TextWorker::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void TextWorker::work() {
  for (;;) {
    try {
      if (!take_requests()) break;
      drop_cancelled();
      step();
    } catch (...) {  // no memory, say: whom it concerns cannot be told apart
      end_all(error_of(std::current_exception()));
    }
  }
  {
    const std::lock_guard lock(mutex_);
    for (Request& request : waiting_) running_.emplace(std::move(request.writing), std::move(request.ticket));
    waiting_.clear();
    stats_.waiting = 0;
  }
  end_all(std::nullopt);
}

bool TextWorker::take_requests() {
  std::unique_lock lock(mutex_);
  work_to_do_.wait(lock, [&] { return stopping_ || !waiting_.empty() || !running_.empty(); });
  if (stopping_) return false;
  for (auto request = waiting_.begin(); request != waiting_.end();) {
    if (!request->ticket->cancelled()) {
      ++request;
      continue;
    }
    running_.emplace(std::move(request->writing), std::move(request->ticket));  // drop_cancelled() ends them
    request = waiting_.erase(request);
  }
  while (!waiting_.empty() && batch_.takes(*waiting_.front().writing)) {
    Request& next = waiting_.front();
    running_.emplace(next.writing, std::move(next.ticket));
    batch_.join(std::move(next.writing));
    waiting_.pop_front();
  }
  stats_.waiting = static_cast<std::int64_t>(waiting_.size());
  return true;
}

void TextWorker::drop_cancelled() {
  std::vector<std::shared_ptr<Writing>> leaving;
  for (const auto& [writing, ticket] : running_) {
    if (ticket->cancelled()) leaving.push_back(writing);
  }
  for (const std::shared_ptr<Writing>& writing : leaving) {
    batch_.leave(*writing);
    writing->cancel();
    end(writing, std::nullopt, &BatcherStats::cancelled);
  }
}

void TextWorker::step() {
  if (batch_.empty()) return;
  std::vector<GenerationBatch::Progress> news;
  if (runner_) {
    runner_([&] { news = batch_.step(); });
  } else {
    news = batch_.step();
  }
  for (const GenerationBatch::Progress& progress : news) {
    if (progress.error) {
      end(progress.writing, error_of(progress.error), &BatcherStats::failed);
    } else if (progress.ended) {
      end(progress.writing, std::nullopt, &BatcherStats::finished);
    } else {
      running_.at(progress.writing)->publish(*progress.writing);
    }
  }
  const std::lock_guard lock(mutex_);
  ++stats_.steps;
  stats_.sequences = batch_.rows();
}

void TextWorker::end(const std::shared_ptr<Writing>& writing, std::optional<Error> error, std::int64_t BatcherStats::*count) {
  const auto found = running_.find(writing);
  {
    const std::lock_guard lock(mutex_);
    ++(stats_.*count);
    stats_.sequences = batch_.rows();
  }
  found->second->end(*writing, std::move(error));
  running_.erase(found);
}

void TextWorker::end_all(const std::optional<Error>& error) {
  while (!running_.empty()) {
    const std::shared_ptr<Writing> writing = running_.begin()->first;
    batch_.leave(*writing);
    if (!error) writing->cancel();
    end(writing, error, error ? &BatcherStats::failed : &BatcherStats::cancelled);
  }
}

}  // namespace portfire
