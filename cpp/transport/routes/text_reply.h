#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <portfire/generate.h>
#include <portfire/input.h>

#include "serving/served.h"
#include "transport/http/exchange.h"
#include "transport/http/head.h"
#include "transport/routes/token_texts.h"

namespace portfire::routes {

using Served = std::shared_ptr<const serving::Served>;

/// JSON on one line, in UTF-8 whatever it holds, and such a line as an event of a stream.
std::string dumped(const nlohmann::ordered_json& json);
std::string event(const nlohmann::ordered_json& json);

/// Texts that are written for one request, and their reply: whole at the end, or part by part. Told by threads that write.
class TextReply : public std::enable_shared_from_this<TextReply> {
 public:
  TextReply(Served served, std::shared_ptr<http::Exchange> exchange, bool stream) : served_(std::move(served)), exchange_(std::move(exchange)), stream_(stream) {}
  virtual ~TextReply() = default;
  TextReply(const TextReply&) = delete;
  TextReply& operator=(const TextReply&) = delete;

  /// `choices` texts for each prompt; the seeds of the others follow the first's. With `log_probabilities` each token is told, with so
  /// many that could have come. Throws as `Served::write`, before anything was replied.
  void start(const std::vector<Input>& prompts, const GenerateOptions& options, std::int64_t choices, std::optional<std::int64_t> log_probabilities = {});

 protected:
  struct Text {
    Input prompt = Input::text("");
    std::vector<std::int64_t> prompt_ids;
    std::shared_ptr<Ticket> ticket;
    std::optional<TokenTexts> tokens;
    Generation result;
    bool ended = false;
  };

  /// What a stream begins with, before any text.
  virtual std::string first_events() { return {}; }
  /// A part of text k as an event, with the tokens that it has; where it has ended, `text.result` is there.
  virtual std::string part(std::size_t k, const Text& text, const std::string& written, const std::vector<TokenText>& tokens) = 0;
  virtual std::string last_events() = 0;
  virtual std::string whole() = 0;
  virtual http::Reply failed(const std::exception& failure) { return http::reply_for(failure); }

  [[nodiscard]] std::vector<Text>& texts() { return texts_; }
  [[nodiscard]] const std::vector<Text>& texts() const { return texts_; }
  [[nodiscard]] const serving::Served& served() const { return *served_; }
  [[nodiscard]] const http::Exchange& exchange() const { return *exchange_; }

 private:
  void begin(const GenerateOptions& options, std::optional<std::int64_t> log_probabilities);
  void told(std::size_t k, Ticket& ticket);
  /// Ends texts that have not ended, and lets go of all: a ticket holds this, too.
  void end();

  const Served served_;
  const std::shared_ptr<http::Exchange> exchange_;
  const bool stream_;
  std::mutex mutex_;
  std::vector<Text> texts_;
  std::size_t left_ = 0;
  bool done_ = false;
};

}  // namespace portfire::routes
