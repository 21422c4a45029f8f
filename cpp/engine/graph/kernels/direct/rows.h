#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph::direct {

inline constexpr std::int64_t kProductsOfAThread = 1 << 18;  // some 10 us: less is not worth a second thread

/// float32 on the CPU, not yet written to.
at::Tensor make_empty(at::IntArrayRef sizes, at::MemoryFormat format = at::MemoryFormat::Contiguous);

/// A weight as Product has it: [O, …] -> [panels, K, width], zeros behind the last output. In one copy, where no zeros are needed.
at::Tensor packed(const at::Tensor& weight);
/// A bias as Product has it; zeros where it is undefined.
at::Tensor packed_bias(const at::Tensor& bias, std::int64_t outputs);

/// All rows of a product, on LibTorch's threads.
void multiply(const Product& product, std::int64_t rows);

/// [N, C, H, W] -> [N, H + 2 top, W + 2 left, C] in one piece; the input itself where it is that already.
at::Tensor padded(const at::Tensor& x, std::int64_t top, std::int64_t left);
/// The same to where `out` lies in one piece.
void pad_into(const at::Tensor& out, const at::Tensor& x, std::int64_t top, std::int64_t left);

}  // namespace portfire::graph::direct
