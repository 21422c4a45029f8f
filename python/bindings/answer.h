#pragma once

#include <pybind11/pybind11.h>

#include <portfire/answer.h>

namespace portfire::python {

/// A classification and what it was made from: a notebook shows both.
struct PictureAnswer {
  Classification value;
  pybind11::object source;
};

/// The Python object of a task's answer; `source` is the input it came from, or None.
pybind11::object object_of(Answer answer, pybind11::object source);

}  // namespace portfire::python
