#include <portfire/model.h>

#include <nlohmann/json.hpp>

#include "archive/manifest_json.h"

namespace portfire {

std::string ModelInfo::to_json() const {
  nlohmann::ordered_json out;
  out["path"] = path;
  out["file_bytes"] = file_bytes;
  out["task"] = task;
  out["engine"] = engine;
  out["engine_version"] = engine_version;
  out["choice"] = choice;
  if (!compiled_for.empty()) out["compiled_for"] = compiled_for;
  out["device"] = device.to_string();
  if (!optimization.empty()) {
    out["threads"] = threads;
    out["optimization"] = optimization;
    out["precision"] = precision;
  }
  out["parameters"] = parameters;
  out["parameter_bytes"] = parameter_bytes;
  out["methods"] = nlohmann::ordered_json::array();
  for (const MethodInfo& method : methods) {
    nlohmann::ordered_json row;
    row["name"] = method.name;
    row["arguments"] = nlohmann::ordered_json::array();
    for (const ArgumentInfo& argument : method.arguments) {
      row["arguments"].push_back({{"name", argument.name}, {"type", argument.type}});
    }
    row["returns"] = method.returns;
    row["operators"] = method.operators;
    out["methods"].push_back(std::move(row));
  }
  if (manifest) out["manifest"] = nlohmann::ordered_json::parse(portfire::to_json(*manifest));
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace portfire
