#include "apps/print_answer.h"

#include <cstdio>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>

#include "apps/terminal.h"
#include "core/text.h"

namespace portfire::apps {

void print_answer(const std::string& name, const Answer& answer, bool json) {
  if (json) {
    std::cout << "{\"input\": " << nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << ", \"answer\": " << answer.to_json() << "}\n";
    return;
  }
  std::cout << name << ": ";
  if (const auto* classification = std::get_if<Classification>(&answer.value)) {
    for (std::size_t k = 0; k < classification->top.size(); ++k) {
      const ScoredLabel& row = classification->top[k];
      char percent[32];
      std::snprintf(percent, sizeof percent, "%.2f %%", 100.0 * static_cast<double>(row.probability));
      std::cout << (k == 0 ? bold(row.label) + "  " + percent : dim(cat("   ", row.label, " ", percent)));
    }
  } else if (const auto* generation = std::get_if<Generation>(&answer.value)) {
    for (const GeneratedText& text : generation->sequences) std::cout << '\n' << text.text;
  } else {
    for (const NamedTensor& output : answer.tensors().outputs) std::cout << output.name << " = " << output.tensor.to_string() << "  ";
  }
  std::cout << '\n';
}

void print_error(const std::string& name, const Error& error, bool json) {
  if (json) {
    const nlohmann::ordered_json line{{"input", name},
                                      {"error", {{"code", info_of(error.code()).name}, {"message", error.what()}}}};
    std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    std::cout.flush();
    std::cerr << "portfire: " << error.what() << '\n';
  }
}

int print_text(TextStream& text) {
  flush_output();
  while (const std::optional<std::string> part = text.next()) {
    std::cout << *part;
    flush_output();
    if (interrupted()) text.cancel();
  }
  std::cout << '\n';
  flush_output();
  return text.result().finish_reason == "cancelled" ? info_of(ErrorCode::kCancelled).exit_status : 0;
}

}  // namespace portfire::apps
