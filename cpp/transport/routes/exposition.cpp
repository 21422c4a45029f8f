#include "transport/routes/exposition.h"

#include <charconv>
#include <cmath>
#include <cstdint>

namespace portfire::routes {
namespace {

/// The shortest that reads back as the same number.
std::string text_of(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quotes) out += "\\\"";
    else out += c;
  }
}

}  // namespace

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += "# HELP ";
  text_ += name;
  text_ += ' ';
  append_escaped(text_, help, false);
  text_ += "\n# TYPE ";
  text_ += name;
  text_ += ' ';
  text_ += type;
  text_ += '\n';
}

void Exposition::sample(const Labels& labels, double value) { line("", labels, "", value); }

void Exposition::single(std::string_view name, std::string_view type, std::string_view help, double value) {
  family(name, type, help);
  sample({}, value);
}

void Exposition::histogram(const Labels& labels, std::span<const double> bounds, const std::vector<std::uint64_t>& counts, double sum) {
  std::uint64_t all = 0;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    all += counts[k];
    line("_bucket", labels, k < bounds.size() ? text_of(bounds[k]) : "+Inf", static_cast<double>(all));
  }
  line("_sum", labels, "", sum);
  line("_count", labels, "", static_cast<double>(all));
}

void Exposition::line(std::string_view suffix, const Labels& labels, std::string_view bound, double value) {
  text_ += name_;
  text_ += suffix;
  char separator = '{';
  const auto label = [&](std::string_view name, std::string_view text) {
    text_ += std::exchange(separator, ',');
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, text, true);
    text_ += '"';
  };
  for (const auto& [name, text] : labels) label(name, text);
  if (!bound.empty()) label("le", bound);
  if (separator == ',') text_ += '}';
  text_ += ' ';
  text_ += text_of(value);
  text_ += '\n';
}

}  // namespace portfire::routes
