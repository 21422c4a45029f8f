#include "transport/routes/text_reply.h"

#include <utility>

#include <nlohmann/json.hpp>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;

/// Of parts that a client does not take: its texts then end, for they cost all others.
constexpr std::size_t kMostPending = 1 << 20;

http::Reply stream_head() {
  return {.status = 200, .content_type = "text/event-stream; charset=utf-8", .body = {}, .headers = {{"Cache-Control", "no-store"}}};
}

}  // namespace

std::string dumped(const ordered_json& json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

std::string event(const ordered_json& json) { return cat("data: ", dumped(json), "\n\n"); }

void TextReply::start(const std::vector<Input>& prompts, const GenerateOptions& options, std::int64_t choices, std::optional<std::int64_t> log_probabilities) {
  for (const Input& prompt : prompts) {
    for (std::int64_t k = 0; k < choices; ++k) texts_.emplace_back().prompt = prompt;
  }
  left_ = texts_.size();
  begin(options, log_probabilities);
  exchange_->on_gone([self = shared_from_this()] {
    const std::lock_guard lock(self->mutex_);
    self->end();
  });
}

void TextReply::begin(const GenerateOptions& options, std::optional<std::int64_t> log_probabilities) {
  const std::lock_guard lock(mutex_);  // nothing is told before all have begun and the head has gone
  try {
    for (std::size_t k = 0; k < texts_.size(); ++k) {
      Text& text = texts_[k];
      GenerateOptions own = options;
      own.seed += k;
      text.ticket = served_->write(text.prompt, own, [self = shared_from_this(), k](Ticket& ticket) { self->told(k, ticket); }, &text.prompt_ids,
                                   log_probabilities.value_or(0));
      if (log_probabilities) text.tokens.emplace(served_->text().tokenizer(), text.prompt_ids);
    }
  } catch (...) {
    end();
    throw;
  }
  if (!stream_) return;
  exchange_->begin(stream_head());
  if (std::string first = first_events(); !first.empty()) exchange_->write(std::move(first));
}

void TextReply::told(std::size_t k, Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  Text& text = texts_[k];
  if (done_ || text.ended) return;
  try {
    const Ticket::Part news = ticket.take();
    if (text.tokens) {
      for (const WrittenToken& token : news.tokens) text.tokens->add(token);
    }
    if (news.ended) {
      text.ended = true;
      text.result = ticket.result();
      --left_;
    }
    if (stream_ && (news.ended || !news.text.empty())) {
      const std::vector<TokenText> tokens = text.tokens ? text.tokens->take(news.text.size()) : std::vector<TokenText>{};
      if (exchange_->write(part(k, text, news.text, tokens)) > kMostPending) throw Error(ErrorCode::kOverloaded, "the client takes the text too slowly");
    }
    if (left_ > 0) return;
    end();
    if (!stream_) return exchange_->send({.status = 200, .content_type = "application/json", .body = whole() + "\n", .headers = {}});
    exchange_->write(last_events());
    exchange_->end();
  } catch (const std::exception& failure) {
    end();
    http::Reply reply = failed(failure);
    if (!stream_) return exchange_->send(std::move(reply));
    while (!reply.body.empty() && reply.body.back() == '\n') reply.body.pop_back();
    exchange_->write(cat("data: ", reply.body, "\n\n"));
    exchange_->end();
  }
}

void TextReply::end() {
  done_ = true;
  for (Text& text : texts_) {
    if (text.ticket != nullptr && !text.ended) text.ticket->cancel();
    text.ticket = nullptr;
  }
}

}  // namespace portfire::routes
