#pragma once

#include <span>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

#include "core/engine.h"

namespace portfire {

/// True where two samples can be rows of one batch of `forward`: the same dtypes and shapes, but for the axes that its
/// signature lets differ and fills up. `forward` may be null.
bool may_share_batch(const MethodSpec* forward, std::span<const Tensor> a, std::span<const Tensor> b);

/// Gives tensors of one dtype and rank one shape: the shorter are filled up at the end of each axis. All come to lie
/// on the CPU where one is changed.
void fill_up(std::vector<Tensor>& tensors, double value, const Engine& engine);

}  // namespace portfire
