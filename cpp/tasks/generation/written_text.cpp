#include "tasks/generation/written_text.h"

namespace portfire {

void WrittenText::push(std::int64_t id, float log_probability, bool is_stop) {
  text_.ids.push_back(id);
  text_.log_probabilities.push_back(log_probability);
  if (!is_stop) text_.text += stops_.push(decoder_.push(id));
}

void WrittenText::end(const std::string& reason) {
  if (ended()) return;
  text_.finish_reason = reason;
  if (stops_.found()) return;
  std::string rest = stops_.push(decoder_.finish());
  if (!stops_.found()) rest += stops_.finish();
  text_.text += rest;
}

}  // namespace portfire
