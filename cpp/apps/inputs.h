#pragma once

#include <string>
#include <vector>

namespace portfire::apps {

/// The files that the arguments stand for, in order: a file is itself, a folder all files beneath it
/// (sorted, hidden ones left out), a pattern with * ? or [ what it matches, "-" standard input. What is
/// not there stays in the list, so that reading it reports it.
std::vector<std::string> expand_inputs(const std::vector<std::string>& arguments);

}  // namespace portfire::apps
