#include "transport/grpc/infer.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include <portfire/input.h>
#include <portfire/model.h>

#include "core/text.h"
#include "transport/grpc/infer_message.h"

namespace portfire::rpc {
namespace {

using Served = std::shared_ptr<const serving::Served>;
using inference::ModelInferResponse;

/// Of parts that a client does not take: its text then ends, for it costs all others.
constexpr std::size_t kMostPending = 1 << 20;

void head(const serving::Served& served, const std::string& id, ModelInferResponse& response) {
  response.set_model_name(served.name());
  response.set_model_version(std::to_string(served.version()));
  response.set_id(id);
}

serving::Clock::time_point steady(std::chrono::system_clock::time_point deadline) {
  const auto left = deadline - std::chrono::system_clock::now();
  if (left > std::chrono::hours(24 * 365)) return serving::Clock::time_point::max();
  return serving::Clock::now() + left;
}

/// A text on its way to a client.
class TextReplies : public std::enable_shared_from_this<TextReplies> {
 public:
  TextReplies(Served served, std::string id, std::shared_ptr<Replies> replies, bool in_parts)
      : served_(std::move(served)), id_(std::move(id)), replies_(std::move(replies)), in_parts_(in_parts) {}

  /// Throws as `Served::write`.
  void start(const TextRequest& request) {
    const std::lock_guard lock(mutex_);
    ticket_ = served_->write(Input::text(request.prompt, kTextInput), request.options, [self = shared_from_this()](Ticket& ticket) { self->told(ticket); });
  }

  void cancel() {
    const std::lock_guard lock(mutex_);
    if (ticket_ != nullptr) ticket_->cancel();
  }

 private:
  void told(Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    if (done_) return;
    try {
      const Ticket::Part news = ticket.take();
      if (!news.ended && (!in_parts_ || news.text.empty())) return;
      ModelInferResponse response;
      head(*served_, id_, response);
      wire::InferOutput output{.name = kTextOutput, .texts = {in_parts_ ? news.text : ticket.result().text()}, .is_text = true, .shape = {1}};
      add_outputs({output}, false, response);
      if (news.ended) (*response.mutable_parameters())["finish_reason"].set_string_param(ticket.result().sequences.front().finish_reason);
      const std::size_t pending = replies_->reply(response, news.ended);
      if (news.ended) return end();
      if (pending > kMostPending) throw Error(ErrorCode::kOverloaded, "the client takes the text too slowly");
    } catch (const std::exception& failure) {
      ticket.cancel();
      replies_->fail(failure);
      end();
    }
  }

  /// Lets go of what holds this, too.
  void end() {
    done_ = true;
    ticket_ = nullptr;
  }

  const Served served_;
  const std::string id_;
  const std::shared_ptr<Replies> replies_;
  const bool in_parts_;
  std::mutex mutex_;
  std::shared_ptr<Ticket> ticket_;
  bool done_ = false;
};

Cancel run_tensors(const Served& served, inference::ModelInferRequest& message, std::chrono::system_clock::time_point deadline,
                   const std::shared_ptr<Replies>& replies) {
  const bool typed = wants_typed(message);
  auto request = std::make_shared<wire::InferRequest>(infer_request_of(message));
  std::shared_ptr<serving::Job> job = wire::job_for(*request);
  job->deadline = std::min(job->deadline, steady(deadline));
  job->done = [request, typed, served, replies](serving::Result result, const serving::JobTimes&) {
    try {
      if (const Error* error = std::get_if<Error>(&result)) throw *error;
      static const std::vector<std::string> none;
      const std::vector<wire::InferOutput> chosen = wire::chosen_outputs(*request, std::get<std::vector<NamedTensor>>(std::move(result)),
                                                                         served->info().manifest ? served->info().manifest->labels : none);
      ModelInferResponse response;
      head(*served, request->id, response);
      add_outputs(chosen, typed, response);
      replies->reply(response, true);
    } catch (const std::exception& failure) {
      replies->fail(failure);
    }
  };
  served->batcher().submit(job);
  return [job] { job->cancelled = true; };
}

}  // namespace

std::int64_t version_of(const std::string& text) { return text.empty() ? 0 : routes::version_in(text); }

Cancel infer(const routes::Site& site, inference::ModelInferRequest& request, std::chrono::system_clock::time_point deadline,
             const std::shared_ptr<Replies>& replies, bool in_parts) {
  try {
    const Served served = site.repository.find(request.model_name(), version_of(request.model_version()));
    replies->found(*served);
    if (served->writes_text()) {
      if (const std::optional<TextRequest> text = text_request_of(request)) {
        const auto writing = std::make_shared<TextReplies>(served, request.id(), replies, in_parts);
        writing->start(*text);
        return [writing] { writing->cancel(); };
      }
    }
    return run_tensors(served, request, deadline, replies);
  } catch (const std::exception& failure) {
    replies->fail(failure);
    return {};
  }
}

}  // namespace portfire::rpc
