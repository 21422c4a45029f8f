#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <portfire/error.h>
#include <portfire/input.h>

#include "serving/served.h"
#include "tasks/occlusion.h"

namespace portfire::serving {

/// What the probability of a class hangs on: how far it falls when a patch or a word is hidden.
struct Explanation {
  std::string label;
  float probability = 0;
  PatchGrid grid{};           ///< of pictures, as the model sees them
  std::vector<Word> words{};  ///< of texts
  std::vector<float> drops{}; ///< for each patch or word; NaN where nothing is left that the model takes
};

struct ExplainOptions {
  std::string label{};                                    ///< "": the likeliest
  Clock::time_point deadline = Clock::time_point::max();  ///< nothing is begun after this
};

/// One explanation on its way. Its samples are jobs of the model's batcher like any others, and never more of them wait than one batch
/// holds, so that others have their turns between. Thread-safe.
class Explainer : public std::enable_shared_from_this<Explainer> {
 public:
  using Done = std::function<void(std::variant<Explanation, Error>)>;

  static constexpr std::size_t kMostWords = 512;

  /// `done` is called once, on any thread. Throws kInvalidArgument where the model's task has no explanation or the label is not one of its,
  /// kInvalidInput on a text of more than `kMostWords`, kOverloaded.
  static std::shared_ptr<Explainer> start(std::shared_ptr<const Served> served, Input input, ExplainOptions options, Done done);

  /// What has not begun does not begin.
  void cancel();

 private:
  Explainer(std::shared_ptr<const Served> served, Input input, ExplainOptions options, Done done);

  void begin();
  /// The input as it is; keeps what the pieces are taken from.
  std::vector<Tensor> whole();
  std::vector<Tensor> without(std::size_t piece) const;
  void on_whole(Result result);
  /// The next batch of pieces, or the end where there is none.
  void go_on();
  void on_piece(std::size_t piece, Result result);
  void submit(const std::vector<std::shared_ptr<Job>>& jobs);
  std::shared_ptr<Job> job_for(SampleMaker sample, std::function<void(Result)> done) const;
  void finish(std::variant<Explanation, Error> what);

  const std::shared_ptr<const Served> served_;
  const Input input_;
  const ExplainOptions options_;
  const bool is_text_;
  std::string text_;
  std::vector<Tensor> sample_;  ///< of a picture, on the CPU
  std::vector<float> colour_;
  Explanation made_;
  std::int64_t class_ = -1;  ///< whose probability it is
  std::vector<std::optional<Error>> failures_;
  std::size_t next_ = 0;  ///< the first piece that is not submitted
  std::atomic<std::size_t> left_{0};
  std::mutex mutex_;
  Done done_;                               ///< null once it was called
  std::vector<std::shared_ptr<Job>> jobs_;  ///< that were submitted last
  bool cancelled_ = false;
};

}  // namespace portfire::serving
