#include "transport/routes/model_info.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include <portfire/model.h>

#include "transport/wire/infer.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;
using Served = std::shared_ptr<const serving::Served>;

constexpr std::size_t kMostLabels = 64;

std::int64_t seconds_now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

ordered_json described(const TensorSpec& spec) {
  ordered_json shape = ordered_json::array();
  for (const Dimension& axis : spec.shape) {
    if (axis.symbol.empty()) {
      shape.push_back(axis.size);
    } else {
      shape.push_back(axis.symbol);
    }
  }
  ordered_json out{{"name", spec.name}, {"datatype", wire::datatype_of(spec.dtype)}, {"shape", std::move(shape)}};
  if (spec.minimum) out["minimum"] = *spec.minimum;
  if (spec.maximum) out["maximum"] = *spec.maximum;
  if (!spec.layout.empty()) out["layout"] = spec.layout;
  if (!spec.unit.empty()) out["unit"] = spec.unit;
  return out;
}

ordered_json described(const std::vector<TensorSpec>& specs) {
  ordered_json all = ordered_json::array();
  for (const TensorSpec& spec : specs) all.push_back(described(spec));
  return all;
}

ordered_json described(const RawInput& input) {
  ordered_json out{{"kind", input.kind}};
  if (input.kind == "image") out["max_pixels"] = input.max_pixels;
  if (input.kind == "text") {
    out["max_bytes"] = input.max_bytes;
    out["max_tokens"] = input.max_tokens;
    out["longer"] = input.truncates ? "truncate" : "refuse";
  }
  return out;
}

/// What of the provenance anybody may see; it is free, so anything may be missing or of another type.
void add_provenance(ordered_json& out, const std::string& text) {
  const ordered_json all = ordered_json::parse(text, nullptr, false);
  if (!all.is_object()) return;
  if (const auto found = all.find("metrics"); found != all.end() && found->is_object()) {
    ordered_json metrics = ordered_json::object();
    for (const auto& [name, value] : found->items()) {
      if (value.is_number()) metrics[name] = value;
    }
    if (!metrics.empty()) out["metrics"] = std::move(metrics);
  }
  if (const auto found = all.find("recipe"); found != all.end() && found->is_string()) out["recipe"] = *found;
  if (const auto found = all.find("data"); found != all.end() && found->is_object()) {
    ordered_json data = ordered_json::object();
    for (const char* field : {"name", "licence"}) {
      if (const auto value = found->find(field); value != found->end() && value->is_string()) data[field] = *value;
    }
    if (!data.empty()) out["data"] = std::move(data);
  }
}

void add_manifest(ordered_json& out, const Manifest& manifest) {
  out["description"] = manifest.description;
  out["licence"] = manifest.licence;
  out["input"] = described(manifest.raw_input);
  out["max_batch"] = manifest.max_batch;
  if (manifest.generation) out["context"] = manifest.generation->context;
  if (!manifest.labels.empty()) {
    out["labels_count"] = manifest.labels.size();
    const auto shown = static_cast<std::ptrdiff_t>(std::min(manifest.labels.size(), kMostLabels));
    out["labels"] = std::vector<std::string>(manifest.labels.begin(), manifest.labels.begin() + shown);
  }
  add_provenance(out, manifest.provenance_json);
}

void send_info(const Call& call, const Site& site, const Served& served) {
  const ModelInfo& info = served->info();
  ordered_json versions = ordered_json::array();
  for (const Served& one : site.repository.served()) {
    if (one->name() == served->name()) versions.push_back(std::to_string(one->version()));
  }
  const std::int64_t started = seconds_now() - std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - site.started).count();
  ordered_json out{{"id", served->name()}, {"object", "model"}, {"created", started}, {"owned_by", "portfire"},
                   {"name", served->name()}, {"version", std::to_string(served->version())}, {"versions", std::move(versions)}, {"state", "READY"}, {"ready", true},
                   {"task", info.task}, {"description", ""}, {"licence", ""}, {"input", {{"kind", "tensor"}}}};
  if (info.manifest) add_manifest(out, *info.manifest);
  if (served->writes_text()) out["chat_roles"] = served->text().chat_roles();
  const MethodSpec none{};
  const MethodSpec& forward = info.signature ? *info.signature : none;
  out["signature"] = {{"inputs", described(forward.inputs)}, {"outputs", described(forward.outputs)}};
  out["parameters"] = info.parameters;
  out["parameter_bytes"] = info.parameter_bytes;
  out["file_bytes"] = info.file_bytes;
  out["engine"] = info.engine;
  out["engine_version"] = info.engine_version;
  out["device"] = info.device.to_string();
  out["precision"] = info.precision;
  out["optimization"] = info.optimization;
  call.reply(out.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

}  // namespace

void add_model_info(Router& router, const Site& site) {
  router.add("GET", "/v1/models/{}", [site](Call& call) { send_info(call, site, find(call, site, call.parts[0])); });
  router.add("GET", "/v1/models/{}/versions/{}", [site](Call& call) { send_info(call, site, find(call, site, call.parts[0], version_in(call.parts[1]))); });
}

}  // namespace portfire::routes
