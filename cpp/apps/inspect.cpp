#include <iostream>

#include "apps/options.h"
#include "apps/terminal.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

std::string shape_of(const TensorSpec& spec) {
  std::string out;
  for (const Dimension& dimension : spec.shape) {
    out += cat(out.empty() ? "" : ", ", dimension.symbol.empty() ? cat(dimension.size) : dimension.symbol);
  }
  std::string range;
  if (spec.minimum || spec.maximum) {
    range = cat(" in ", spec.minimum ? cat(*spec.minimum) : "-inf", "..", spec.maximum ? cat(*spec.maximum) : "inf");
  }
  return cat(spec.name, ": ", name_of(spec.dtype), " [", out, "]", range, spec.unit.empty() ? "" : " " + spec.unit);
}

std::string list_of(const std::vector<TensorSpec>& specs) {
  std::string out;
  for (const TensorSpec& spec : specs) out += cat(out.empty() ? "" : ", ", shape_of(spec));
  return out;
}

void row(const std::string& key, const std::string& value) {
  if (!value.empty()) std::cout << "  " << dim(key + std::string(key.size() < 12 ? 12 - key.size() : 1, ' ')) << value << '\n';
}

std::string labels_of(const Manifest& manifest) {
  constexpr std::size_t kShown = 12;
  std::string out = cat(manifest.labels.size(), ": ");
  for (std::size_t k = 0; k < manifest.labels.size() && k < kShown; ++k) out += cat(k == 0 ? "" : ", ", manifest.labels[k]);
  return out + (manifest.labels.size() > kShown ? ", …" : "");
}

void print_manifest(const Manifest& manifest) {
  row("about", manifest.description);
  row("licence", manifest.licence);
  for (const MethodSpec& method : manifest.methods) {
    row(method.name, cat("(", list_of(method.inputs), ") -> ", list_of(method.outputs)));
  }
  if (!manifest.labels.empty()) row("labels", labels_of(manifest));
  row("max batch", cat(manifest.max_batch));
  row("golden", cat(manifest.golden.size(), " samples; not replayed here, see portfire verify"));
  row("provenance", manifest.provenance_json.size() > 400 ? manifest.provenance_json.substr(0, 400) + "…" : manifest.provenance_json);
}

void print_program(const ModelInfo& info) {
  for (const MethodInfo& method : info.methods) {
    std::string arguments;
    for (const ArgumentInfo& argument : method.arguments) {
      arguments += cat(arguments.empty() ? "" : ", ", argument.name, ": ", argument.type);
    }
    row(method.name, cat("(", arguments, ") -> ", method.returns));
  }
}

void print(const ModelInfo& info) {
  const std::string title = info.manifest ? cat(info.manifest->name, " version ", info.manifest->version) : info.path;
  std::cout << bold(title) << "  " << info.task << '\n';
  row("file", cat(info.path, ", ", human_bytes(static_cast<double>(info.file_bytes))));
  row("parameters", cat(info.parameters, ", ", human_bytes(static_cast<double>(info.parameter_bytes))));
  row("engine", cat(info.engine, " (", info.engine_version, "), ", info.choice));
  row("compiled for", info.compiled_for);
  if (info.manifest) {
    print_manifest(*info.manifest);
  } else {
    print_program(info);
  }
  for (const MethodInfo& method : info.methods) {
    std::string operators;
    for (const std::string& op : method.operators) {
      if (!op.starts_with("prim::")) operators += cat(operators.empty() ? "" : " ", op);
    }
    row("operators", cat(method.name, ": ", operators));
  }
}

}  // namespace

void add_inspect(CLI::App& app, int&) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* command = app.add_subcommand("inspect", "What a model takes, gives and weighs; runs no model code");
  add_model_options(*command, *options, false);
  auto plan = std::make_shared<std::string>();
  command->add_option("--plan", *plan, "Print the steps of the engine graph after the passes of none, freeze, full or auto")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"auto", "none", "freeze", "full"}));
  command->footer("Examples:\n  portfire inspect models/digits-cnn\n  portfire inspect --json model.pt | jq .methods\n"
                  "  portfire inspect --plan full model.pt2");
  command->callback([options, plan] {
    if (!plan->empty()) {
      options->optimization = *plan;
      std::cout << plan_text(options->path, options->load_options());
      return;
    }
    const ModelInfo info = inspect(options->path, options->load_options());
    if (options->json) {
      std::cout << info.to_json() << '\n';
    } else {
      print(info);
    }
  });
}

}  // namespace portfire::apps
