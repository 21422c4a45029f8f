#pragma once

#include <string>

#include <portfire/answer.h>
#include <portfire/error.h>
#include <portfire/model.h>

namespace portfire::apps {

/// One line on standard output for an input called `name`: for people, or one JSON object.
void print_answer(const std::string& name, const Answer& answer, bool json);
/// The same for an error, on standard error where it is for people.
void print_error(const std::string& name, const Error& error, bool json);

/// A text as it comes, and the end of its line; an interrupt ends it. Gives the exit status.
int print_text(TextStream& text);

}  // namespace portfire::apps
