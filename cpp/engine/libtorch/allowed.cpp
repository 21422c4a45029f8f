#include "engine/libtorch/allowed.h"

#include <algorithm>
#include <string_view>

namespace portfire::libtorch {
namespace {

constexpr std::string_view kNamespaces[] = {"aten", "prim", "quantized", "prepacked", "portfire"};

// Public names that reach files, memory beside the tensor, the process's output or other machines.
constexpr std::string_view kRefused[] = {
    "aten::as_strided",   "aten::as_strided_",       "aten::as_strided_copy", "aten::as_strided_scatter",
    "aten::from_file",    "aten::record_stream",     "aten::resize_",         "aten::resize_as_",
    "aten::manual_seed",  "aten::seed",              "aten::segment_reduce",
    "aten::save",         "aten::set_",              "aten::set_data",        "prim::CallFunction",
    "prim::CallMethod",   "prim::Print",             "prim::PythonOp",        "prim::rpc_async",
    "prim::rpc_remote",   "prim::rpc_sync",          "prim::BroadcastMKLDNNTensors"};

// Names with a leading underscore are internal and refused, but for those that TorchScript's compiler,
// its tracer, torch.export and torch.nn put into ordinary models.
constexpr std::string_view kInternal[] = {
    "aten::__and__", "aten::__contains__", "aten::__derive_index", "aten::__getitem__", "aten::__iand__",
    "aten::__interpolate", "aten::__ior__", "aten::__is__", "aten::__isnot__", "aten::__ixor__", "aten::__lshift__",
    "aten::__not__", "aten::__or__", "aten::__range_length", "aten::__round_to_zero_floordiv", "aten::__rshift__",
    "aten::__upsample", "aten::__upsample_bilinear", "aten::__upsample_nearest", "aten::__xor__",
    "aten::_adaptive_avg_pool2d", "aten::_adaptive_avg_pool3d", "aten::_assert_async", "aten::_assert_scalar",
    "aten::_assert_tensor_metadata", "aten::_batch_norm_impl_index", "aten::_convolution", "aten::_convolution_mode",
    "aten::_get_tracing_state", "aten::_grad_sum_to_size", "aten::_infer_size", "aten::_list_to_tensor",
    "aten::_local_scalar_dense", "aten::_log_softmax", "aten::_native_batch_norm_legit_no_training", "aten::_native_multi_head_attention", "aten::_no_grad_embedding_renorm_",
    "aten::_pack_padded_sequence", "aten::_pad_packed_sequence", "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_set_item", "aten::_shape_as_tensor",
    "aten::_size_if_not_equal", "aten::_softmax", "aten::_tensor_to_list", "aten::_to_copy", "aten::_transformer_encoder_layer_fwd",
    "aten::_trilinear", "aten::_unique2", "aten::_unsafe_view", "aten::_unwrap_optional", "aten::_upsample_bicubic2d_aa",
    "aten::_upsample_bilinear2d_aa", "aten::_upsample_lanczos2d_aa", "aten::_upsample_nearest_exact1d",
    "aten::_upsample_nearest_exact2d", "aten::_upsample_nearest_exact3d", "aten::_weight_norm"};

bool contains(const auto& list, std::string_view op) {
  return std::find(std::begin(list), std::end(list), op) != std::end(list);
}

}  // namespace

bool is_allowed(const std::string& op) {
  const auto colons = op.find("::");
  if (colons == std::string::npos || !contains(kNamespaces, std::string_view(op).substr(0, colons))) return false;
  if (contains(kRefused, op)) return false;
  const std::string_view name = std::string_view(op).substr(colons + 2);
  // Sparse constructors trust the indices that they are given.
  if (name.starts_with("sparse_") || name.starts_with("_sparse")) return false;
  return !op.starts_with("aten::_") || contains(kInternal, op);
}

}  // namespace portfire::libtorch
