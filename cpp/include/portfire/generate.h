#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <portfire/export.h>

namespace portfire {

/// When beam search takes what it has for the best.
enum class EarlyStopping : std::uint8_t {
  kNo,     ///< when the best beginning, were it to end here, is no better than the finished texts
  kYes,    ///< as soon as `num_beams` texts are finished
  kNever,  ///< when no beginning can become better, however long
};

/// How a text is written on, token by token. The definitions are those of Hugging Face's transformers
/// (docs/generation.md); what differs is that nothing is on unless it is set.
struct GenerateOptions {
  std::int64_t max_new_tokens = 128;
  double temperature = 0;           ///< 0 takes the likeliest token each time; above 0 one is drawn from softmax(logits / temperature)
  std::int64_t top_k = 0;           ///< draw among the likeliest k; 0: all
  double top_p = 1;                 ///< draw among the likeliest whose probabilities reach p together
  double min_p = 0;                 ///< draw among those at least p times as likely as the likeliest
  double repetition_penalty = 1;    ///< above 1: logits of tokens in the prompt or the text are divided by it (multiplied where negative)
  double frequency_penalty = 0;     ///< subtracted from a token's logit for each time it is in the text
  std::int64_t num_sequences = 1;   ///< texts for one prompt; more than 1 needs a temperature or beams
  std::int64_t num_beams = 1;       ///< above 1: beam search, which finds texts that are likelier as a whole; temperature is 0
  double length_penalty = 1;        ///< of beam search: a text's log-probability is divided by its length to this power
  EarlyStopping early_stopping = EarlyStopping::kNo;  ///< of beam search
  std::uint64_t seed = 0;           ///< of the draws: the same gives the same text
  std::vector<std::string> stop{};  ///< the text ends before the first of these in it
  std::vector<std::int64_t> stop_tokens{};  ///< beside those of the package
};

/// One text that was written. Regular.
struct GeneratedText {
  std::string text;                       ///< what follows the prompt
  std::vector<std::int64_t> ids;          ///< with the token that ended it
  std::vector<float> log_probabilities;   ///< of each, by softmax of the bare logits
  std::string finish_reason;              ///< "stop", "length" or "cancelled"; empty while it goes on
  bool operator==(const GeneratedText&) const = default;
};

/// The answer of task `text-generation`: as many texts as were asked for; never empty. Regular.
struct Generation {
  std::vector<GeneratedText> sequences;

  [[nodiscard]] const std::string& text() const noexcept { return sequences.front().text; }
  bool operator==(const Generation&) const = default;
};

}  // namespace portfire
