#include "transport/wire/multipart.h"

#include <algorithm>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::wire {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kLongestBoundary = 70;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kInvalidInput, cat("the form: ", what)); }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool alike(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_letter_or_digit(char c) { return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9'); }

/// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return is_letter_or_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos; });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// "a; b=c; d=\"e\"", taken apart.
struct Value {
  std::string_view first;
  std::vector<std::pair<std::string_view, std::string>> parameters;

  /// Nothing where there is none.
  [[nodiscard]] const std::string* find(std::string_view name) const {
    const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const auto& one) { return alike(one.first, name); });
    return found == parameters.end() ? nullptr : &found->second;
  }
};

/// Takes a quoted string from the front of `text`. A backslash makes a quote part of it and is itself one elsewhere, as browsers on
/// Windows have sent it.
std::string take_quoted(std::string_view& text, std::string_view where) {
  std::string out;
  for (std::size_t k = 1; k < text.size(); ++k) {
    if (text[k] == '"') {
      text.remove_prefix(k + 1);
      return out;
    }
    if (text[k] == '\\' && k + 1 < text.size() && text[k + 1] == '"') ++k;
    out += text[k];
  }
  refuse(cat(where, " has a quote that does not end: ", quoted(text)));
}

Value value_of(std::string_view text, std::string_view where) {
  Value value;
  const std::size_t end = std::min(text.find(';'), text.size());
  value.first = trimmed(text.substr(0, end));
  text.remove_prefix(end);
  while (!(text = trimmed(text)).empty()) {
    if (text.front() != ';') refuse(cat(where, " goes on with ", quoted(text), "; a ; separates its parameters"));
    text = trimmed(text.substr(1));
    if (text.empty()) break;
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    if (equals == std::string_view::npos || !is_token(name)) refuse(cat(where, " has a parameter that is not name=value: ", quoted(text)));
    if (value.find(name) != nullptr) refuse(cat(where, " says ", quoted(name), " twice"));
    text.remove_prefix(equals + 1);
    if (text.starts_with('"')) {
      value.parameters.emplace_back(name, take_quoted(text, where));
      continue;
    }
    const std::size_t stop = std::min(text.find_first_of("; \t"), text.size());
    if (!is_token(text.substr(0, stop))) refuse(cat(where, ": the value of ", quoted(name), " needs quotes: ", quoted(text)));
    value.parameters.emplace_back(name, text.substr(0, stop));
    text.remove_prefix(stop);
  }
  return value;
}

/// A part's head to what it names; `head` is its lines, each with its end.
FormPart described(std::string_view head, std::size_t index) {
  const std::string where = cat("parts[", index, "]");
  bool has_disposition = false;
  FormPart part;
  while (!head.empty()) {
    const std::size_t end = head.find(kLineEnd);
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + kLineEnd.size());
    const bool plain = std::none_of(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) < 32 && c != '\t') || c == 127; });
    const std::size_t colon = line.find(':');
    if (!plain || colon == std::string_view::npos || !is_token(line.substr(0, colon))) refuse(cat(where, " has a header that is none: ", quoted(line)));
    const std::string_view name = line.substr(0, colon);
    const std::string_view text = trimmed(line.substr(colon + 1));
    if (alike(name, "Content-Transfer-Encoding") && !alike(text, "binary") && !alike(text, "8bit") && !alike(text, "7bit")) {
      refuse(cat(where, " is in the transfer encoding ", quoted(text), "; bytes are taken as they are"));
    }
    if (!alike(name, "Content-Disposition")) continue;
    if (std::exchange(has_disposition, true)) refuse(cat(where, " has two Content-Dispositions"));
    const Value value = value_of(text, where);
    if (!alike(value.first, "form-data")) refuse(cat(where, " is ", quoted(value.first), "; parts of a form are form-data"));
    const std::string* own = value.find("name");
    if (own == nullptr) refuse(cat(where, " has no name"));
    part.name = *own;
    if (const std::string* file = value.find("filename")) part.file_name = *file;
  }
  if (!has_disposition) refuse(cat(where, " has no Content-Disposition"));
  return part;
}

/// The spaces that may follow a boundary.
std::size_t padding(std::string_view text) { return std::min(text.find_first_not_of(" \t"), text.size()); }

}  // namespace

std::optional<std::string> form_boundary(std::string_view content_type) {
  if (!alike(trimmed(content_type.substr(0, content_type.find(';'))), "multipart/form-data")) return std::nullopt;
  const Value value = value_of(content_type, "its Content-Type");
  const std::string* boundary = value.find("boundary");
  if (boundary == nullptr) refuse("its Content-Type has no boundary");
  const bool known = std::all_of(boundary->begin(), boundary->end(), [](char c) { return is_letter_or_digit(c) || std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos; });
  if (!known || boundary->empty() || boundary->size() > kLongestBoundary || boundary->ends_with(' ')) {
    refuse(cat("the boundary is ", quoted(*boundary), "; 1 to ", kLongestBoundary, " letters, digits and '()+_,-./:=? are"));
  }
  return *boundary;
}

std::vector<FormPart> form_parts(std::string_view body, std::string_view boundary) {
  const std::string delimiter = cat(kLineEnd, "--", boundary);
  // The first has no line before it.
  if (!body.starts_with(std::string_view(delimiter).substr(kLineEnd.size()))) refuse("the body does not begin with the boundary that its Content-Type names");
  body.remove_prefix(delimiter.size() - kLineEnd.size());
  std::vector<FormPart> parts;
  while (!body.starts_with("--")) {
    body.remove_prefix(padding(body));
    if (!body.starts_with(kLineEnd)) refuse(cat("a boundary goes on with ", quoted(body.substr(0, 8)), "; a new line, or -- behind the last part, follows it"));
    if (parts.size() == kMostParts) refuse(cat("it has more than ", kMostParts, " parts, the most that one request may have"));
    // The head's lines; there may be none, so that the one that ends it follows at once.
    const std::size_t end = body.substr(0, kLongestPartHead).find("\r\n\r\n");
    if (end == std::string_view::npos) refuse(cat("parts[", parts.size(), "]: its head does not end within ", kLongestPartHead, " bytes"));
    FormPart part = described(body.substr(kLineEnd.size(), end), parts.size());
    body.remove_prefix(end + 2 * kLineEnd.size());
    const std::size_t length = body.find(delimiter);
    if (length == std::string_view::npos) refuse(cat("parts[", parts.size(), "] does not end: no boundary follows it"));
    part.content = body.substr(0, length);
    body.remove_prefix(length + delimiter.size());
    parts.push_back(std::move(part));
  }
  body.remove_prefix(2);
  body.remove_prefix(padding(body));
  if (body.starts_with(kLineEnd)) body.remove_prefix(kLineEnd.size());
  if (!body.empty()) refuse(cat(body.size(), " bytes follow its end"));
  if (parts.empty()) refuse("it has no part");
  return parts;
}

}  // namespace portfire::wire
