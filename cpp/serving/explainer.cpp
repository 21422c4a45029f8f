#include "serving/explainer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/text.h"

namespace portfire::serving {
namespace {

constexpr std::string_view kPictures = "image-classification";
constexpr std::string_view kTexts = "text-classification";

float probability_of(const Answer& answer, std::int64_t index) {
  const std::vector<ScoredLabel>& all = std::get<Classification>(answer.value).top;
  const auto found = std::find_if(all.begin(), all.end(), [&](const ScoredLabel& one) { return one.index == index; });
  return found == all.end() ? 0.0F : found->probability;
}

}  // namespace

std::shared_ptr<Explainer> Explainer::start(std::shared_ptr<const Served> served, Input input, ExplainOptions options, Done done) {
  const std::shared_ptr<Explainer> made(new Explainer(std::move(served), std::move(input), std::move(options), std::move(done)));
  made->begin();
  return made;
}

Explainer::Explainer(std::shared_ptr<const Served> served, Input input, ExplainOptions options, Done done)
    : served_(std::move(served)), input_(std::move(input)), options_(std::move(options)), is_text_(served_->info().task == kTexts), done_(std::move(done)) {}

void Explainer::begin() {
  const ModelInfo& info = served_->info();
  if (!is_text_ && info.task != kPictures) {
    throw Error(ErrorCode::kInvalidArgument, cat(served_->name(), ": no explanation for task ", info.task, "; ", kPictures, " and ", kTexts, " have one"));
  }
  if (!options_.label.empty()) {
    const std::vector<std::string>& labels = info.manifest->labels;
    const auto found = std::find(labels.begin(), labels.end(), options_.label);
    if (found == labels.end()) throw Error(ErrorCode::kInvalidArgument, cat(served_->name(), " has no label ", quoted(options_.label)));
    class_ = found - labels.begin();
  }
  if (is_text_) {
    const std::vector<std::byte> bytes = input_.read();
    text_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    made_.words = words_of(text_);
    if (made_.words.size() > kMostWords) throw Error(ErrorCode::kInvalidInput, cat(input_.name(), ": the text has ", made_.words.size(), " words; at most ", kMostWords, " are left out one by one"));
  }
  submit({job_for([self = shared_from_this()] { return self->whole(); }, [self = shared_from_this()](Result result) { self->on_whole(std::move(result)); })});
}

std::vector<Tensor> Explainer::whole() {
  std::vector<Tensor> sample = served_->model().pipeline->prepare(input_);
  if (is_text_) return sample;
  for (const Tensor& one : sample) sample_.push_back(served_->model().engine->to_cpu(one));
  if (sample_.size() != 1) throw Error(ErrorCode::kUnsupported, cat(served_->name(), ": preprocess gave ", sample_.size(), " tensors; patches are hidden of one"));
  made_.grid = patch_grid(sample_[0], served_->name());
  colour_ = mean_colour(sample_[0]);
  return sample;
}

std::vector<Tensor> Explainer::without(std::size_t piece) const {
  if (!is_text_) return {without_patch(sample_[0], made_.grid, static_cast<std::int64_t>(piece), colour_)};
  return served_->model().pipeline->prepare(Input::text(without_word(text_, made_.words[piece]), input_.name()));
}

void Explainer::on_whole(Result result) {
  if (const Error* error = std::get_if<Error>(&result)) return finish(*error);
  const Answer& answer = std::get<Answer>(result);
  if (class_ < 0) class_ = std::get<Classification>(answer.value).top.front().index;
  made_.label = served_->info().manifest->labels[static_cast<std::size_t>(class_)];
  made_.probability = probability_of(answer, class_);
  const std::size_t pieces = is_text_ ? made_.words.size() : static_cast<std::size_t>(made_.grid.rows * made_.grid.columns);
  made_.drops.resize(pieces);
  failures_.resize(pieces);
  go_on();
}

void Explainer::go_on() {
  for (const std::optional<Error>& failure : failures_) {
    if (failure) return finish(*failure);
  }
  const std::size_t first = next_;
  const std::size_t count = std::min(made_.drops.size() - first, static_cast<std::size_t>(served_->batcher().max_batch()));
  if (count == 0) return finish(std::move(made_));
  next_ += count;
  std::vector<std::shared_ptr<Job>> jobs;
  for (std::size_t k = first; k < first + count; ++k) {
    jobs.push_back(job_for([self = shared_from_this(), k] { return self->without(k); }, [self = shared_from_this(), k](Result result) { self->on_piece(k, std::move(result)); }));
  }
  left_ = count;
  try {
    submit(jobs);
  } catch (const Error& error) {
    finish(error);
  }
}

void Explainer::on_piece(std::size_t piece, Result result) {
  if (const Error* error = std::get_if<Error>(&result)) {
    // Without its one word a text may be none.
    if (is_text_ && error->code() == ErrorCode::kInvalidInput) {
      made_.drops[piece] = std::numeric_limits<float>::quiet_NaN();
    } else {
      failures_[piece] = *error;
    }
  } else {
    made_.drops[piece] = made_.probability - probability_of(std::get<Answer>(result), class_);
  }
  if (left_.fetch_sub(1) == 1) go_on();
}

std::shared_ptr<Job> Explainer::job_for(SampleMaker sample, std::function<void(Result)> done) const {
  auto job = std::make_shared<Job>();
  job->input = std::move(sample);
  job->options.top_k = static_cast<int>(std::max<std::size_t>(served_->info().manifest->labels.size(), 1));
  job->deadline = options_.deadline;
  job->done = [done = std::move(done)](Result result, const JobTimes&) { done(std::move(result)); };
  return job;
}

void Explainer::submit(const std::vector<std::shared_ptr<Job>>& jobs) {
  {
    const std::lock_guard lock(mutex_);
    jobs_ = jobs;
    if (cancelled_) {
      for (const auto& job : jobs) job->cancelled = true;
    }
  }
  try {
    for (const auto& job : jobs) served_->batcher().submit(job);
  } catch (const Error&) {
    cancel();  // those before it were not too many
    const std::lock_guard lock(mutex_);
    jobs_.clear();
    throw;
  }
}

void Explainer::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (const auto& job : jobs_) job->cancelled = true;
}

void Explainer::finish(std::variant<Explanation, Error> what) {
  Done done;
  std::vector<std::shared_ptr<Job>> jobs;  // each holds this
  {
    const std::lock_guard lock(mutex_);
    done = std::exchange(done_, nullptr);
    jobs.swap(jobs_);
  }
  if (done) done(std::move(what));
}

}  // namespace portfire::serving
