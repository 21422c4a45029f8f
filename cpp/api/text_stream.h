#pragma once

#include <optional>
#include <utility>

#include <portfire/model.h>

#include "tasks/generation/generator.h"

namespace portfire {

struct TextStream::Impl {
  Impl(Model shared, Generator started) : model(std::move(shared)), generator(std::move(started)) {}

  void end() {
    text = generator->result().sequences.front();
    generator.reset();
  }

  Model model;                         ///< which the generator refers to
  std::optional<Generator> generator;  ///< nothing once the text has ended
  GeneratedText text;
};

}  // namespace portfire
