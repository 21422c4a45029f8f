#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <portfire/error.h>

namespace portfire::apps {

/// A text, or why it could not be read; `name` is what errors call it: "reviews.csv:12".
struct TextRow {
  std::string name;
  std::variant<std::string, Error> text;
};

/// Texts one after another; never more than one in memory. One thread at a time.
class TextSource {
 public:
  virtual ~TextSource() = default;
  /// Nothing at the end, or after an interrupt. Throws kIo, and kInvalidInput where a file is no table at all.
  virtual std::optional<TextRow> next() = 0;
};

/// The arguments themselves; "-" stands for the lines of standard input.
std::unique_ptr<TextSource> texts_of(std::vector<std::string> arguments, std::size_t most_bytes);
/// The lines of a file, or by its suffix the column of a .csv or .tsv (RFC 4180, with a header) or the field of a .jsonl that
/// `column` names. A text of more than `most_bytes` is an error of its own. Throws kNotFound, kIo, kInvalidArgument.
std::unique_ptr<TextSource> texts_in(const std::string& path, const std::string& column, std::size_t most_bytes);

}  // namespace portfire::apps
