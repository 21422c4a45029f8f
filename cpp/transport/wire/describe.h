#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "serving/repository.h"

/// What the protocol's messages about the server and its models say, as JSON; the messages over gRPC have the same fields.
namespace portfire::wire {

/// ServerMetadataResponse.
nlohmann::ordered_json server_metadata();
/// ModelMetadataResponse.
nlohmann::ordered_json model_metadata(const serving::Repository& repository, const serving::Served& served);
/// ModelConfig.
nlohmann::ordered_json model_config(const serving::Served& served);
/// ModelStatisticsResponse.
nlohmann::ordered_json model_statistics(const std::vector<std::shared_ptr<const serving::Served>>& served);
/// The elements of RepositoryIndexResponse; with `only_ready` those alone that answer.
nlohmann::ordered_json repository_index(const serving::Repository& repository, bool only_ready);

}  // namespace portfire::wire
