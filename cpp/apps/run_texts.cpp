#include "apps/run_texts.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "apps/print_answer.h"
#include "apps/terminal.h"
#include "apps/text_source.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

constexpr std::size_t kMostAtOnce = 256;

/// A text and what came of it.
struct Row {
  std::string name;
  std::string shown;  ///< the text, where it could be read
  std::variant<Answer, Error> outcome;
};

/// The beginning of a text, on one line and without codes for the terminal.
std::string short_of(const std::string& text) {
  constexpr std::size_t kMost = 60;
  std::size_t end = std::min(text.size(), kMost);
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
  std::string line = text.substr(0, end);
  std::replace_if(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return line + (end < text.size() ? "…" : "");
}

/// At most `most` texts, those that could be read run together. Empty at the end.
std::vector<Row> next_rows(const Model& model, TextSource& source, std::size_t most, const RunOptions& options) {
  std::vector<Row> rows;
  std::vector<Input> inputs;
  std::vector<std::size_t> places;
  while (rows.size() < most) {
    std::optional<TextRow> row = source.next();
    if (!row) break;
    if (const auto* error = std::get_if<Error>(&row->text)) {
      rows.push_back({row->name, row->name, *error});
      continue;
    }
    auto& text = std::get<std::string>(row->text);
    inputs.push_back(Input::text(text, row->name));
    places.push_back(rows.size());
    rows.push_back({row->name, std::move(text), Answer{}});
  }
  if (interrupted() || inputs.empty()) return rows;
  std::vector<Outcome> outcomes = model.run_each(inputs, options);
  for (std::size_t k = 0; k < outcomes.size(); ++k) rows[places[k]].outcome = std::move(outcomes[k]);
  return rows;
}

/// Prints the text as it comes. Gives the exit status.
int print_stream(const Model& model, const std::string& prompt, const GenerateOptions& options) {
  std::cout << dim(prompt);
  TextStream text = model.stream(Input::text(prompt), options);
  return print_text(text);
}

}  // namespace

int run_texts(const Model& model, const TextRun& run) {
  if (!run.texts.empty() && !run.from.empty()) throw Error(ErrorCode::kInvalidArgument, "texts and --from; give one of them");
  const Manifest& manifest = *model.info().manifest;
  const auto most_bytes = static_cast<std::size_t>(manifest.raw_input.max_bytes);
  const std::unique_ptr<TextSource> source = run.from.empty() ? texts_of(run.texts, most_bytes) : texts_in(run.from, run.column, most_bytes);
  const std::size_t batch = std::min(static_cast<std::size_t>(manifest.max_batch), kMostAtOnce);
  const bool json = run.json || !run.from.empty();
  int status = 0;
  RunOptions options = run.options;
  options.cancelled = interrupted;
  catch_interrupt();
  if (model.info().task == "text-generation" && !json && run.texts.size() == 1 && run.texts[0] != "-" && run.options.generate.num_sequences == 1 &&
      run.options.generate.num_beams == 1) {
    return print_stream(model, run.texts[0], run.options.generate);
  }
  for (;;) {
    const std::vector<Row> rows = next_rows(model, *source, batch, options);
    if (interrupted()) return info_of(ErrorCode::kCancelled).exit_status;
    if (rows.empty()) return status;
    for (const Row& row : rows) {
      if (const auto* error = std::get_if<Error>(&row.outcome)) {
        print_error(row.name, *error, json);
        if (status == 0) status = info_of(error->code()).exit_status;
      } else {
        print_answer(json ? row.shown : short_of(row.shown), std::get<Answer>(row.outcome), json);
      }
    }
    flush_output();
  }
}

}  // namespace portfire::apps
