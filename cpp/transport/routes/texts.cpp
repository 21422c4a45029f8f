#include "transport/routes/texts.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include <portfire/input.h>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/routes/text_request.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;
using Served = std::shared_ptr<const serving::Served>;

/// Of parts that a client does not take: its texts then end, for they cost all others.
constexpr std::size_t kMostPending = 1 << 20;

std::string dumped(const ordered_json& json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

std::string event(const ordered_json& json) { return cat("data: ", dumped(json), "\n\n"); }

http::Reply stream_head() {
  return {.status = 200, .content_type = "text/event-stream; charset=utf-8", .body = {}, .headers = {{"Cache-Control", "no-store"}}};
}

std::int64_t seconds_now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// OpenAI's clients look for the message within "error".
http::Reply openai_error(const std::exception& failure) {
  http::Reply reply = http::reply_for(failure);
  const ordered_json plain = ordered_json::parse(reply.body);
  const char* type = reply.status < 500 ? "invalid_request_error" : "server_error";
  reply.body = dumped({{"error", {{"message", plain["error"]}, {"type", type}, {"param", nullptr}, {"code", plain["code"]}}}}) + "\n";
  return reply;
}

/// Texts that are written for one request, and their reply: whole at the end, or part by part. Told by threads that write.
class TextReply : public std::enable_shared_from_this<TextReply> {
 public:
  TextReply(Served served, std::shared_ptr<http::Exchange> exchange, bool stream) : served_(std::move(served)), exchange_(std::move(exchange)), stream_(stream) {}
  virtual ~TextReply() = default;
  TextReply(const TextReply&) = delete;
  TextReply& operator=(const TextReply&) = delete;

  /// Throws as `Served::write`, before anything was replied.
  void start(const std::vector<std::string>& prompts, const GenerateOptions& options, std::int64_t choices) {
    texts_.resize(prompts.size() * static_cast<std::size_t>(choices));
    left_ = texts_.size();
    begin(prompts, options, static_cast<std::size_t>(choices));
    exchange_->on_gone([self = shared_from_this()] {
      const std::lock_guard lock(self->mutex_);
      self->end();
    });
  }

 protected:
  struct Text {
    std::string prompt;
    std::int64_t prompt_tokens = 0;
    std::shared_ptr<Ticket> ticket;
    Generation result;
    bool ended = false;
  };

  /// A part of text k as an event; where it has ended, `text.result` is there.
  virtual std::string part(std::size_t k, const Text& text, const std::string& written) = 0;
  virtual std::string last_events() = 0;
  virtual std::string whole() = 0;
  virtual http::Reply failed(const std::exception& failure) { return http::reply_for(failure); }

  [[nodiscard]] const std::vector<Text>& texts() const { return texts_; }
  [[nodiscard]] const serving::Served& served() const { return *served_; }
  [[nodiscard]] const http::Exchange& exchange() const { return *exchange_; }

 private:
  void begin(const std::vector<std::string>& prompts, const GenerateOptions& options, std::size_t choices) {
    const std::lock_guard lock(mutex_);  // nothing is told before all have begun and the head has gone
    try {
      for (std::size_t k = 0; k < texts_.size(); ++k) {
        GenerateOptions own = options;
        own.seed += k;
        texts_[k].prompt = prompts[k / choices];
        texts_[k].ticket = served_->write(Input::text(texts_[k].prompt, "prompt"), own, [self = shared_from_this(), k](Ticket& ticket) { self->told(k, ticket); },
                                          &texts_[k].prompt_tokens);
      }
    } catch (...) {
      end();
      throw;
    }
    if (stream_) exchange_->begin(stream_head());
  }

  void told(std::size_t k, Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    Text& text = texts_[k];
    if (done_ || text.ended) return;
    try {
      const Ticket::Part news = ticket.take();
      if (news.ended) {
        text.ended = true;
        text.result = ticket.result();
        --left_;
      }
      if (stream_ && (news.ended || !news.text.empty()) && exchange_->write(part(k, text, news.text)) > kMostPending) {
        throw Error(ErrorCode::kOverloaded, "the client takes the text too slowly");
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

  /// Ends texts that have not ended, and lets go of all: a ticket holds this, too.
  void end() {
    done_ = true;
    for (Text& text : texts_) {
      if (text.ticket != nullptr && !text.ended) text.ticket->cancel();
      text.ticket = nullptr;
    }
  }

  const Served served_;
  const std::shared_ptr<http::Exchange> exchange_;
  const bool stream_;
  std::mutex mutex_;
  std::vector<Text> texts_;
  std::size_t left_ = 0;
  bool done_ = false;
};

/// Triton's `generate`.
class GenerateReply final : public TextReply {
 public:
  using TextReply::TextReply;

 private:
  [[nodiscard]] ordered_json with(const std::string& text) const {
    return {{"model_name", served().name()}, {"model_version", std::to_string(served().version())}, {"text_output", text}};
  }
  std::string part(std::size_t, const Text& text, const std::string& written) override {
    ordered_json json = with(written);
    if (text.ended) json["finish_reason"] = text.result.sequences.front().finish_reason;
    return event(json);
  }
  std::string last_events() override { return {}; }
  std::string whole() override {
    ordered_json json = with(texts().front().result.text());
    json["finish_reason"] = texts().front().result.sequences.front().finish_reason;
    return dumped(json);
  }
};

/// OpenAI's completions.
class CompletionReply final : public TextReply {
 public:
  CompletionReply(Served served, std::shared_ptr<http::Exchange> exchange, const CompletionRequest& request)
      : TextReply(std::move(served), std::move(exchange), request.stream), echo_(request.echo), includes_usage_(request.includes_usage) {}

 private:
  [[nodiscard]] ordered_json head() const {
    return {{"id", cat("cmpl-", exchange().request_id())}, {"object", "text_completion"}, {"created", created_}, {"model", served().name()}};
  }
  static ordered_json choice(std::size_t k, std::string text, const Text& from) {
    return {{"text", std::move(text)}, {"index", k}, {"logprobs", nullptr},
            {"finish_reason", from.ended ? ordered_json(from.result.sequences.front().finish_reason) : ordered_json(nullptr)}};
  }
  [[nodiscard]] ordered_json usage() const {
    std::int64_t read = 0;
    std::int64_t written = 0;
    for (const Text& text : texts()) {
      read += text.prompt_tokens;
      written += static_cast<std::int64_t>(text.result.sequences.front().ids.size());
    }
    return {{"prompt_tokens", read}, {"completion_tokens", written}, {"total_tokens", read + written}};
  }

  std::string part(std::size_t k, const Text& text, const std::string& written) override {
    ordered_json json = head();
    const bool first = echo_ && std::find(echoed_.begin(), echoed_.end(), k) == echoed_.end();
    if (first) echoed_.push_back(k);
    json["choices"] = ordered_json::array({choice(k, first ? text.prompt + written : written, text)});
    if (includes_usage_) json["usage"] = nullptr;
    return event(json);
  }
  std::string last_events() override {
    std::string last;
    if (includes_usage_) {
      ordered_json json = head();
      json["choices"] = ordered_json::array();
      json["usage"] = usage();
      last = event(json);
    }
    return last + "data: [DONE]\n\n";
  }
  std::string whole() override {
    ordered_json json = head();
    ordered_json choices = ordered_json::array();
    for (std::size_t k = 0; k < texts().size(); ++k) choices.push_back(choice(k, (echo_ ? texts()[k].prompt : "") + texts()[k].result.text(), texts()[k]));
    json["choices"] = std::move(choices);
    json["usage"] = usage();
    return dumped(json);
  }
  http::Reply failed(const std::exception& failure) override { return openai_error(failure); }

  const bool echo_;
  const bool includes_usage_;
  const std::int64_t created_ = seconds_now();
  std::vector<std::size_t> echoed_;
};

void generate(const Call& call, const Served& served, bool stream) {
  Fields fields(call.request.body());
  const std::string prompt = fields.text("text_input");
  Fields parameters = fields.object("parameters");
  const GenerateOptions options = generate_options_of(parameters);
  std::make_shared<GenerateReply>(served, call.exchange, stream)->start({prompt}, options, 1);
}

void complete(const Call& call, const Site& site) {
  try {
    const CompletionRequest request = completion_request_of(call.request.body());
    std::make_shared<CompletionReply>(find(call, site, request.model), call.exchange, request)->start(request.prompts, request.options, request.choices);
  } catch (const std::exception& failure) {
    call.exchange->send(openai_error(failure));
  }
}

void chat(const Call& call, const Site& site) {
  try {
    Fields fields(call.request.body());
    const std::string model = fields.text("model");
    (void)find(call, site, model);
    throw Error(ErrorCode::kUnsupported, cat("the package of ", model, " has no chat template; /v1/completions writes on from a prompt"));
  } catch (const std::exception& failure) {
    call.exchange->send(openai_error(failure));
  }
}

void list(const Call& call, const Site& site) {
  ordered_json models = ordered_json::array();
  std::string last;
  const std::int64_t started = seconds_now() - std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - site.started).count();
  for (const Served& served : site.repository.served()) {
    if (std::exchange(last, served->name()) == served->name()) continue;
    models.push_back({{"id", served->name()}, {"object", "model"}, {"created", started}, {"owned_by", "portfire"}, {"task", served->info().task}});
  }
  call.reply(dumped({{"object", "list"}, {"data", std::move(models)}}));
}

}  // namespace

void add_texts(Router& router, const Site& site) {
  router.add("GET", "/v1/models", [site](Call& call) { list(call, site); });
  router.add("POST", "/v1/completions", [site](Call& call) { complete(call, site); });
  router.add("POST", "/v1/chat/completions", [site](Call& call) { chat(call, site); });
  for (const bool stream : {false, true}) {
    const std::string verb = stream ? "generate_stream" : "generate";
    router.add("POST", "/v2/models/{}/" + verb, [site, stream](Call& call) { generate(call, find(call, site, call.parts[0]), stream); });
    router.add("POST", "/v2/models/{}/versions/{}/" + verb,
               [site, stream](Call& call) { generate(call, find(call, site, call.parts[0], version_in(call.parts[1])), stream); });
  }
}

}  // namespace portfire::routes
