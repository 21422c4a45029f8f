#include "archive/exported_weights.h"

#include <limits>
#include <span>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "archive/exported_value.h"
#include "core/text.h"

namespace portfire::exported {
namespace {

Dims fixed_dims(const JsonNode& node) {
  std::vector<std::int64_t> sizes;
  for (const JsonNode& element : node.elements()) sizes.push_back(element.only_field("as_int").integer(0));
  return Dims(std::span<const std::int64_t>(sizes));
}

/// One past the last element that the strides reach; -1 where that is no number of elements.
std::int64_t reach(const Dims& shape, const Dims& strides, std::int64_t offset) {
  std::int64_t last = offset;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    std::int64_t step = 0;
    if (shape[axis] == 0) return offset;
    if (__builtin_mul_overflow(shape[axis] - 1, strides[axis], &step) || __builtin_add_overflow(last, step, &last)) return -1;
  }
  return last == std::numeric_limits<std::int64_t>::max() ? -1 : last + 1;
}

void check_extent(const Archive& archive, const Weight& weight, const JsonNode& node) {
  const ArchiveEntry* entry = archive.find(weight.record);
  if (entry == nullptr) node.fail(cat("its record ", quoted(weight.record), " is missing"));
  const std::int64_t elements = reach(weight.shape, weight.strides, weight.offset);
  std::int64_t bytes = 0;
  if (elements < 0 || __builtin_mul_overflow(elements, static_cast<std::int64_t>(size_of(weight.dtype)), &bytes) ||
      static_cast<std::uint64_t>(bytes) > entry->bytes) {
    node.fail(cat("shape ", weight.shape.to_string(), " with strides ", weight.strides.to_string(), " leaves its record ",
                  quoted(weight.record), " of ", entry->bytes, " bytes"));
  }
}

}  // namespace

void read_weights(const Archive& archive, const std::string& folder, const std::string& table,
                  std::map<std::string, Weight>& weights) {
  const std::string record = cat(folder, table);
  if (archive.find(record) == nullptr) return;
  const std::string document = cat(archive.path(), ": ", record);
  const nlohmann::json text = read_json(archive, record, document);
  const JsonNode root(text, document);
  root.require({"config"});
  for (const auto& [name, node] : root.at("config").fields()) {
    node.require({"path_name", "is_param", "use_pickle", "tensor_meta"});
    if (node.at("use_pickle").boolean()) {
      throw Error(ErrorCode::kUntrustedPackage, cat(document, ": ", quoted(name), " is pickled; only raw weights are read"));
    }
    const JsonNode meta = node.at("tensor_meta");
    meta.require({"dtype", "sizes", "strides", "storage_offset", "layout"});
    if (meta.at("layout").integer(0) != kStridedLayout) node.fail("its layout is not strided");
    Weight weight{.value = {},
                  .name = name,
                  .record = cat(folder, node.at("path_name").string()),
                  .dtype = dtype_from(meta.at("dtype")),
                  .shape = fixed_dims(meta.at("sizes")),
                  .strides = fixed_dims(meta.at("strides")),
                  .offset = meta.at("storage_offset").only_field("as_int").integer(0),
                  .is_parameter = node.at("is_param").boolean(),
                  .requires_grad = meta.has("requires_grad") && meta.at("requires_grad").boolean()};
    if (weight.strides.size() != weight.shape.size()) node.fail("its strides are not as many as its sizes");
    check_extent(archive, weight, node);
    weights[name] = std::move(weight);
  }
}

nlohmann::json read_json(const Archive& archive, std::string_view record, const std::string& document) {
  const std::vector<std::byte> bytes = archive.read(record);
  return parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, document);
}

}  // namespace portfire::exported
