#pragma once

#include <string>
#include <vector>

#include <portfire/model.h>

namespace portfire::apps {

struct TextRun {
  std::vector<std::string> texts;  ///< the arguments; "-" stands for the lines of standard input
  std::string from;                ///< a file of texts; empty where there is none
  std::string column;
  RunOptions options;
  bool json = false;
};

/// Runs a model that reads text, a batch at a time, and prints each answer in turn. Gives the exit status.
int run_texts(const Model& model, const TextRun& run);

}  // namespace portfire::apps
