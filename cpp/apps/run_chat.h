#pragma once

#include <portfire/model.h>

namespace portfire::apps {

struct ChatRun {
  RunOptions options;
  bool json = false;
};

/// Prints the answer to a conversation, a JSON list of messages, as it comes. Gives the exit status.
int run_chat(const Model& model, const Input& messages, const ChatRun& run);
/// A conversation at the terminal, whose lines are the user's messages, to their end or an interrupt. Gives the exit status.
int run_talk(const Model& model, const GenerateOptions& options);

}  // namespace portfire::apps
