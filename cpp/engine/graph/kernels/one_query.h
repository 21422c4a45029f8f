#pragma once

#include <memory>

#include "engine/graph/kernel.h"

namespace portfire::graph {

/// `aten::scaled_dot_product_attention` with its eight arguments. One query for each head, or many under a mask to a few hundred
/// places, go to our own kernel, each by itself, where q, k and v are float32 on the CPU and nothing but a mask of what is seen is
/// asked for; all else to LibTorch's operator. Heads of keys and values are `repeats` times as many as those that are given: each serves as many heads of queries in a row.
std::shared_ptr<const Kernel> one_query(std::int64_t repeats);

/// `aten::index_put_` with its four arguments. Where two indices choose rows of float32 among the first two axes of a tensor on
/// the CPU, they are copied one by one; all else goes to LibTorch's operator.
std::shared_ptr<const Kernel> put_rows();

}  // namespace portfire::graph
