#include "tasks/generation/writing.h"

#include <algorithm>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "tasks/generation/beam_search.h"
#include "tasks/generation/logits.h"
#include "tasks/generation/sampler.h"
#include "tasks/generation/sampling.h"

namespace portfire {

bool Prompt::is_stop(std::int64_t id) const { return std::binary_search(options.stop_tokens.begin(), options.stop_tokens.end(), id); }

Prompt prompt_for(const Manifest& manifest, std::vector<std::int64_t> ids, GenerateOptions options, std::int64_t context) {
  check_options(options);
  const std::int64_t vocabulary = vocabulary_of(manifest);
  for (const std::int64_t token : options.stop_tokens) {
    if (token < 0 || token >= vocabulary) {
      throw Error(ErrorCode::kInvalidArgument, cat("stop token ", token, "; ", manifest.name, " has 0 to ", vocabulary - 1));
    }
  }
  const std::vector<std::int64_t>& own = manifest.generation->stop_tokens;
  options.stop_tokens.insert(options.stop_tokens.end(), own.begin(), own.end());
  std::sort(options.stop_tokens.begin(), options.stop_tokens.end());
  options.stop_tokens.erase(std::unique(options.stop_tokens.begin(), options.stop_tokens.end()), options.stop_tokens.end());
  const std::int64_t left = context - static_cast<std::int64_t>(ids.size());
  const std::int64_t most_new = std::min(std::max<std::int64_t>(left, 1), options.max_new_tokens);
  return {.ids = std::move(ids), .options = std::move(options), .vocabulary = vocabulary, .most_new = most_new};
}

std::unique_ptr<Writing> make_writing(Prompt prompt, const Tokenizer& tokenizer) {
  DecodeStream decoder(tokenizer);
  for (const std::int64_t id : prompt.ids) (void)decoder.push(id);
  const WrittenText begin(std::move(decoder), prompt.options.stop);
  if (prompt.options.num_beams > 1) return std::make_unique<BeamSearch>(std::move(prompt), begin);
  return std::make_unique<Sampling>(std::move(prompt), begin);
}

}  // namespace portfire
