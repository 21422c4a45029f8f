#include "apps/text_source.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <nlohmann/json.hpp>

#include "apps/terminal.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

/// The bytes of a file or of standard input, one by one.
class Bytes {
 public:
  explicit Bytes(std::string path) : path_(std::move(path)) {
    if (path_ == "-") {
      path_ = "standard input";
      file_ = STDIN_FILENO;
      return;
    }
    file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0) throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, cat(path_, ": cannot be read: ", std::strerror(errno)));
  }
  ~Bytes() {
    if (file_ != STDIN_FILENO) ::close(file_);
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  [[nodiscard]] const std::string& name() const { return path_; }

  /// -1 at the end, or after an interrupt.
  int next() {
    if (at_ == have_ && !fill()) return -1;
    return static_cast<unsigned char>(part_[at_++]);
  }
  int peek() {
    if (at_ == have_ && !fill()) return -1;
    return static_cast<unsigned char>(part_[at_]);
  }

 private:
  bool fill() {
    constexpr int kLookUpMs = 100;  // another thread may have taken the signal, so the wait itself must end
    while (!interrupted()) {
      pollfd input{.fd = file_, .events = POLLIN, .revents = 0};
      const int ready = ::poll(&input, 1, kLookUpMs);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      const ssize_t got = ::read(file_, part_.data(), part_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error(ErrorCode::kIo, cat(path_, ": cannot be read: ", std::strerror(errno)));
      at_ = 0;
      have_ = static_cast<std::size_t>(got);
      return got > 0;
    }
    return false;
  }

  std::string path_;
  int file_ = -1;
  std::array<char, 1 << 16> part_{};
  std::size_t at_ = 0;
  std::size_t have_ = 0;
};

/// A text that stops growing at a limit.
class Bounded {
 public:
  explicit Bounded(std::size_t most) : most_(most) {}
  void add(int byte) {
    if (text_.size() < most_) {
      text_ += static_cast<char>(byte);
    } else {
      ++beyond_;
    }
  }
  void clear() {
    text_.clear();
    beyond_ = 0;
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::size_t beyond() const { return beyond_; }
  void drop_carriage_return() {
    if (beyond_ == 0 && text_.ends_with('\r')) text_.pop_back();
  }

 private:
  std::size_t most_;
  std::size_t beyond_ = 0;
  std::string text_;
};

Error too_long(const std::string& name, std::size_t bytes, std::size_t most) {
  return Error(ErrorCode::kInvalidInput, cat(name, ": a text of ", bytes, " bytes; at most ", most, " are taken"));
}

TextRow row_of(std::string name, const Bounded& text, std::size_t most) {
  if (text.beyond() > 0) return {name, too_long(name, most + text.beyond(), most)};
  return {std::move(name), text.text()};
}

class Lines : public TextSource {
 public:
  Lines(const std::string& path, std::size_t most) : bytes_(path), most_(most), line_(most) {}

  std::optional<TextRow> next() override {
    while (read_line()) {
      if (line_.beyond() > 0 || !line_.text().empty()) return row_of(place(), line_, most_);
    }
    return std::nullopt;
  }

 protected:
  bool read_line() {
    if (bytes_.peek() < 0) return false;
    line_.clear();
    ++number_;
    for (int byte = bytes_.next(); byte >= 0 && byte != '\n'; byte = bytes_.next()) line_.add(byte);
    line_.drop_carriage_return();
    return !interrupted();
  }
  [[nodiscard]] std::string place() const { return cat(bytes_.name(), ":", number_); }

  Bytes bytes_;
  std::size_t most_;
  Bounded line_;
  std::size_t number_ = 0;
};

class JsonLines final : public Lines {
 public:
  /// A line holds more than its text.
  JsonLines(const std::string& path, std::string field, std::size_t most) : Lines(path, most + (1 << 20)), field_(std::move(field)) {}

  std::optional<TextRow> next() override {
    std::optional<TextRow> row = Lines::next();
    const std::string* line = row ? std::get_if<std::string>(&row->text) : nullptr;
    if (line == nullptr) return row;
    const nlohmann::json json = nlohmann::json::parse(*line, nullptr, false);
    const auto refuse = [&](const std::string& problem) { row->text = Error(ErrorCode::kInvalidInput, cat(row->name, ": ", problem)); };
    if (json.is_discarded()) {
      refuse(cat(quoted(*line), " is not JSON"));
    } else if (json.is_string()) {
      row->text = json.get<std::string>();
    } else if (!json.is_object() || !json.contains(field_) || !json[field_].is_string()) {
      refuse(cat("has no text in the field ", quoted(field_), "; --column names another"));
    } else {
      row->text = json[field_].get<std::string>();
    }
    return row;
  }

 private:
  std::string field_;
};

/// RFC 4180: a field in quotes may hold separators, line breaks and doubled quotes.
class Table final : public TextSource {
 public:
  Table(const std::string& path, const std::string& column, char separator, std::size_t most)
      : bytes_(path), separator_(separator), most_(most), field_(most) {
    std::vector<std::string> header;
    if (!read_record([&](std::size_t, const Bounded& field) { header.push_back(field.text()); })) {
      throw Error(ErrorCode::kInvalidInput, cat(path, ": is empty; a header is needed"));
    }
    if (!header.empty() && header[0].starts_with("\xEF\xBB\xBF")) header[0].erase(0, 3);
    const auto found = std::find(header.begin(), header.end(), column);
    if (found == header.end()) {
      std::string names;
      constexpr std::size_t kShown = 12;
      for (std::size_t k = 0; k < std::min(header.size(), kShown); ++k) names += cat(k == 0 ? "" : ", ", quoted(header[k]));
      if (header.size() > kShown) names += cat(" and ", header.size() - kShown, " more");
      throw Error(ErrorCode::kInvalidArgument, cat(path, ": has no column ", quoted(column), "; it has ", names, "; --column names one"));
    }
    column_ = static_cast<std::size_t>(found - header.begin());
  }

  std::optional<TextRow> next() override {
    const std::size_t line = line_;
    const std::string name = cat(bytes_.name(), ":", line);
    std::optional<TextRow> row;
    if (!read_record([&](std::size_t index, const Bounded& field) {
          if (index == column_) row = row_of(name, field, most_);
        })) {
      return std::nullopt;
    }
    if (open_quote_ > 0) {  // all that follows it is one field, and no row of its own
      row = TextRow{name, Error(ErrorCode::kInvalidInput, cat(name, ": the quote that begins in line ", open_quote_, " is not closed"))};
    }
    if (!row) row = TextRow{name, Error(ErrorCode::kInvalidInput, cat(name, ": the row ends before column ", column_ + 1))};
    return row;
  }

 private:
  /// False at the end. Blank lines are none.
  template <typename Take>
  bool read_record(Take take) {
    while (bytes_.peek() == '\n' || bytes_.peek() == '\r') {
      if (bytes_.next() == '\n') ++line_;
    }
    if (bytes_.peek() < 0) return false;
    for (std::size_t index = 0;; ++index) {
      const int end = read_field();
      take(index, field_);
      if (end != separator_) break;
    }
    ++line_;
    return !interrupted();
  }

  /// Gives what ended it: the separator, a line break or -1.
  int read_field() {
    field_.clear();
    bool in_quotes = false;
    bool begun = false;
    std::size_t begins = 0;
    for (;;) {
      const int byte = bytes_.next();
      if (byte < 0) {
        if (in_quotes) open_quote_ = begins;
        return byte;
      }
      if (in_quotes) {
        if (byte == '"' && bytes_.peek() == '"') {
          field_.add(bytes_.next());
        } else if (byte == '"') {
          in_quotes = false;
        } else {
          if (byte == '\n') ++line_;
          field_.add(byte);
        }
      } else if (byte == '"' && !begun) {
        in_quotes = true;
        begins = line_;
      } else if (byte == separator_ || byte == '\n') {
        if (byte == '\n') field_.drop_carriage_return();
        return byte;
      } else {
        field_.add(byte);
      }
      begun = true;
    }
  }

  Bytes bytes_;
  char separator_;
  std::size_t most_;
  Bounded field_;
  std::size_t column_ = 0;
  std::size_t line_ = 1;
  std::size_t open_quote_ = 0;  ///< the line in which one begins that the file's end finds open
};

class Arguments final : public TextSource {
 public:
  Arguments(std::vector<std::string> texts, std::size_t most) : texts_(std::move(texts)), most_(most) {}

  std::optional<TextRow> next() override {
    while (lines_ || at_ < texts_.size()) {
      if (lines_) {
        if (std::optional<TextRow> row = lines_->next()) return row;
        lines_.reset();
        continue;
      }
      std::string text = texts_[at_++];
      if (text == "-") {
        lines_ = std::make_unique<Lines>("-", most_);
        continue;
      }
      return TextRow{texts_.size() == 1 ? "text" : cat("text ", at_), std::move(text)};
    }
    return std::nullopt;
  }

 private:
  std::vector<std::string> texts_;
  std::size_t most_;
  std::size_t at_ = 0;
  std::unique_ptr<Lines> lines_;
};

}  // namespace

std::unique_ptr<TextSource> texts_of(std::vector<std::string> arguments, std::size_t most_bytes) {
  return std::make_unique<Arguments>(std::move(arguments), most_bytes);
}

std::unique_ptr<TextSource> texts_in(const std::string& path, const std::string& column, std::size_t most_bytes) {
  if (path.ends_with(".csv") || path.ends_with(".tsv")) {
    return std::make_unique<Table>(path, column, path.ends_with(".csv") ? ',' : '\t', most_bytes);
  }
  if (path.ends_with(".jsonl")) return std::make_unique<JsonLines>(path, column, most_bytes);
  return std::make_unique<Lines>(path, most_bytes);
}

}  // namespace portfire::apps
