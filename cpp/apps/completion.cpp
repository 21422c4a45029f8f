#include <iostream>
#include <string>

#include "apps/options.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

std::string option_names(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) out += cat(out.empty() ? "" : " ", "--", name);
  }
  return out;
}

std::string command_names(const CLI::App& app) {
  std::string out;
  for (const CLI::App* command : app.get_subcommands({})) out += cat(out.empty() ? "" : " ", command->get_name());
  return out;
}

/// Made from the parser itself, so that it never lags behind the options.
std::string bash_script(const CLI::App& app) {
  std::string out = cat(
      "_portfire() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options=\n"
      "  COMPREPLY=()\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    COMPREPLY=($(compgen -W \"", command_names(app), " ", option_names(app), "\" -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  case $before in\n"
      "    --device) COMPREPLY=($(compgen -W \"cpu cuda\" -- \"$word\")); return ;;\n"
      "    --engine) COMPREPLY=($(compgen -W \"auto torchscript graph compiled\" -- \"$word\")); return ;;\n"
      "    --optimize) COMPREPLY=($(compgen -W \"auto none freeze full\" -- \"$word\")); return ;;\n"
      "    --precision) COMPREPLY=($(compgen -W \"packaged bfloat16 int8 fastest\" -- \"$word\")); return ;;\n"
      "    completion) COMPREPLY=($(compgen -W \"bash zsh\" -- \"$word\")); return ;;\n"
      "  esac\n"
      "  case ${COMP_WORDS[1]} in\n");
  for (const CLI::App* command : app.get_subcommands({})) {
    out += cat("    ", command->get_name(), ") options=\"", option_names(*command), "\" ;;\n");
  }
  return out +
         "  esac\n"
         "  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$word\")); fi\n"
         "}\n"
         "complete -o default -F _portfire portfire\n";  // default: file names, quoted as the shell does it
}

}  // namespace

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for bash or zsh");
  command->add_option("shell", *shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}))->type_name("SHELL");
  command->footer("Examples:\n  source <(portfire completion bash)\n  portfire completion zsh >> ~/.zshrc");
  command->callback([&app, shell] {
    if (*shell == "zsh") std::cout << "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n";
    std::cout << bash_script(app);
  });
}

}  // namespace portfire::apps
