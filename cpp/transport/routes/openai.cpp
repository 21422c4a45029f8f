#include "transport/routes/openai.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "transport/routes/completion_request.h"
#include "transport/routes/text_reply.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;

std::int64_t seconds_now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// OpenAI's clients look for the message within "error".
http::Reply openai_error(const std::exception& failure) {
  http::Reply reply = http::reply_for(failure);
  const ordered_json plain = ordered_json::parse(reply.body);
  const char* type = reply.status < 500 ? "invalid_request_error" : "server_error";
  reply.body = dumped({{"error", {{"message", plain["error"]}, {"type", type}, {"param", nullptr}, {"code", plain["code"]}}}}) + "\n";
  return reply;
}

/// JSON has no infinity; OpenAI's has this for it.
float finite(float log_probability) { return std::max(log_probability, -9999.0F); }

/// What completions and chats have in common.
class OpenAiReply : public TextReply {
 public:
  OpenAiReply(Served served, std::shared_ptr<http::Exchange> exchange, const TextRequest& request, const char* id, const char* object)
      : TextReply(std::move(served), std::move(exchange), request.stream), request_(request), id_(id), object_(object) {}

 protected:
  [[nodiscard]] const TextRequest& request() const { return request_; }
  [[nodiscard]] ordered_json head(const char* suffix = "") const {
    return {{"id", cat(id_, exchange().request_id())}, {"object", cat(object_, suffix)}, {"created", created_}, {"model", served().name()}};
  }
  static ordered_json finish_reason(const Text& text) { return text.ended ? ordered_json(text.result.sequences.front().finish_reason) : ordered_json(nullptr); }
  [[nodiscard]] ordered_json usage() const {
    std::int64_t read = 0;
    std::int64_t written = 0;
    for (const Text& text : texts()) {
      read += static_cast<std::int64_t>(text.prompt_ids.size());
      written += static_cast<std::int64_t>(text.result.sequences.front().ids.size());
    }
    return {{"prompt_tokens", read}, {"completion_tokens", written}, {"total_tokens", read + written}};
  }
  [[nodiscard]] std::string chunk(ordered_json choice, const char* suffix) const {
    ordered_json json = head(suffix);
    json["choices"] = ordered_json::array({std::move(choice)});
    if (request_.includes_usage) json["usage"] = nullptr;
    return event(json);
  }
  [[nodiscard]] std::string end_of_stream(const char* suffix) const {
    std::string last;
    if (request_.includes_usage) {
      ordered_json json = head(suffix);
      json["choices"] = ordered_json::array();
      json["usage"] = usage();
      last = event(json);
    }
    return last + "data: [DONE]\n\n";
  }
  /// `choice(k, text, tokens)` gives the JSON of one.
  template <typename Choice>
  std::string all(const Choice& choice) {
    ordered_json json = head();
    ordered_json choices = ordered_json::array();
    for (std::size_t k = 0; k < texts().size(); ++k) {
      Text& text = texts()[k];
      choices.push_back(choice(k, text, text.tokens ? text.tokens->take(text.result.text().size()) : std::vector<TokenText>{}));
    }
    json["choices"] = std::move(choices);
    json["usage"] = usage();
    return dumped(json);
  }

 private:
  http::Reply failed(const std::exception& failure) override { return openai_error(failure); }

  const TextRequest request_;
  const char* const id_;
  const char* const object_;
  const std::int64_t created_ = seconds_now();
};

class CompletionReply final : public OpenAiReply {
 public:
  CompletionReply(Served served, std::shared_ptr<http::Exchange> exchange, const CompletionRequest& request)
      : OpenAiReply(std::move(served), std::move(exchange), request, "cmpl-", "text_completion"), echo_(request.echo) {}

 private:
  [[nodiscard]] std::string prompt_of(const Text& text) const {
    if (text.prompt.kind() == Input::Kind::kTensors) return served().text().tokenizer().decode(text.prompt_ids);
    const std::vector<std::byte> bytes = text.prompt.read();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  [[nodiscard]] ordered_json log_probabilities(const std::vector<TokenText>& tokens) const {
    if (!request().log_probabilities) return nullptr;
    ordered_json json{{"tokens", ordered_json::array()}, {"token_logprobs", ordered_json::array()}, {"top_logprobs", ordered_json::array()}, {"text_offset", ordered_json::array()}};
    for (const TokenText& token : tokens) {
      json["tokens"].push_back(token.text);
      json["token_logprobs"].push_back(finite(token.log_probability));
      json["text_offset"].push_back(token.offset);
      ordered_json likeliest = ordered_json::object();  // where two are spelled alike, the likelier one
      for (const TokenText::Likely& likely : token.likeliest) likeliest.emplace(likely.text, finite(likely.log_probability));
      if (!token.text.empty()) likeliest.emplace(token.text, finite(token.log_probability));
      json["top_logprobs"].push_back(std::move(likeliest));
    }
    if (*request().log_probabilities == 0) json["top_logprobs"] = nullptr;
    return json;
  }
  [[nodiscard]] ordered_json choice(std::size_t k, std::string written, const Text& text, const std::vector<TokenText>& tokens) const {
    return {{"text", std::move(written)}, {"index", k}, {"logprobs", log_probabilities(tokens)}, {"finish_reason", finish_reason(text)}};
  }

  std::string part(std::size_t k, const Text& text, const std::string& written, const std::vector<TokenText>& tokens) override {
    const bool first = echo_ && std::find(echoed_.begin(), echoed_.end(), k) == echoed_.end();
    if (first) echoed_.push_back(k);
    return chunk(choice(k, first ? prompt_of(text) + written : written, text, tokens), "");
  }
  std::string last_events() override { return end_of_stream(""); }
  std::string whole() override {
    return all([&](std::size_t k, const Text& text, const std::vector<TokenText>& tokens) { return choice(k, (echo_ ? prompt_of(text) : "") + text.result.text(), text, tokens); });
  }

  const bool echo_;
  std::vector<std::size_t> echoed_;
};

class ChatReply final : public OpenAiReply {
 public:
  ChatReply(Served served, std::shared_ptr<http::Exchange> exchange, const ChatRequest& request)
      : OpenAiReply(std::move(served), std::move(exchange), request, "chatcmpl-", "chat.completion") {}

 private:
  static constexpr const char* kChunk = ".chunk";

  static ordered_json log_probability(const std::string& text, float log_probability, bool is_spelled = false) {
    ordered_json bytes;
    if (!is_spelled) {
      bytes = ordered_json::array();
      for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
    }
    return {{"token", text}, {"logprob", finite(log_probability)}, {"bytes", std::move(bytes)}};
  }
  [[nodiscard]] ordered_json log_probabilities(const std::vector<TokenText>& tokens) const {
    if (!request().log_probabilities) return nullptr;
    ordered_json content = ordered_json::array();
    for (const TokenText& token : tokens) {
      ordered_json json = log_probability(token.text, token.log_probability);
      json["top_logprobs"] = ordered_json::array();
      for (const TokenText::Likely& likely : token.likeliest) json["top_logprobs"].push_back(log_probability(likely.text, likely.log_probability, likely.is_spelled));
      content.push_back(std::move(json));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  std::string first_events() override {
    std::string events;
    for (std::size_t k = 0; k < texts().size(); ++k) {
      events += chunk({{"index", k}, {"delta", {{"role", "assistant"}, {"content", ""}}}, {"logprobs", nullptr}, {"finish_reason", nullptr}}, kChunk);
    }
    return events;
  }
  std::string part(std::size_t k, const Text& text, const std::string& written, const std::vector<TokenText>& tokens) override {
    ordered_json delta = ordered_json::object();
    if (!written.empty()) delta["content"] = written;
    return chunk({{"index", k}, {"delta", std::move(delta)}, {"logprobs", log_probabilities(tokens)}, {"finish_reason", finish_reason(text)}}, kChunk);
  }
  std::string last_events() override { return end_of_stream(kChunk); }
  std::string whole() override {
    return all([&](std::size_t k, const Text& text, const std::vector<TokenText>& tokens) {
      return ordered_json{{"index", k}, {"message", {{"role", "assistant"}, {"content", text.result.text()}, {"refusal", nullptr}}},
                          {"logprobs", log_probabilities(tokens)}, {"finish_reason", finish_reason(text)}};
    });
  }
};

void complete(const Call& call, const Site& site) {
  try {
    const CompletionRequest request = completion_request_of(call.request.body());
    std::make_shared<CompletionReply>(find(call, site, request.model), call.exchange, request)
        ->start(request.prompts, request.options, request.choices, request.log_probabilities);
  } catch (const std::exception& failure) {
    call.exchange->send(openai_error(failure));
  }
}

void chat(const Call& call, const Site& site) {
  try {
    const ChatRequest request = chat_request_of(call.request.body());
    const Served served = find(call, site, request.model);
    GenerateOptions options = request.options;
    const Input prompt = served->text().chat(request.messages, options);
    std::make_shared<ChatReply>(served, call.exchange, request)->start({prompt}, options, request.choices, request.log_probabilities);
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
    ordered_json model{{"id", served->name()}, {"object", "model"}, {"created", started}, {"owned_by", "portfire"}, {"task", served->info().task}};
    if (served->writes_text()) model["chat_roles"] = served->text().chat_roles();
    models.push_back(std::move(model));
  }
  call.reply(dumped({{"object", "list"}, {"data", std::move(models)}}));
}

}  // namespace

void add_openai(Router& router, const Site& site) {
  router.add("GET", "/v1/models", [site](Call& call) { list(call, site); });
  router.add("POST", "/v1/completions", [site](Call& call) { complete(call, site); });
  router.add("POST", "/v1/chat/completions", [site](Call& call) { chat(call, site); });
}

}  // namespace portfire::routes
