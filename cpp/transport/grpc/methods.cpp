#include "transport/grpc/methods.h"

#include <vector>

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "inference.pb.h"
#include "transport/grpc/infer.h"
#include "transport/wire/describe.h"

namespace portfire::rpc {
namespace {

constexpr const char* kService = "/inference.GRPCInferenceService/";

/// The same description as over HTTP, as far as `message` has its fields.
void fill(google::protobuf::Message& message, const nlohmann::ordered_json& json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), &message, options);
  if (!status.ok()) throw Error(ErrorCode::kInternal, cat("no ", message.GetTypeName(), ": ", status.ToString()));
}

void refuse_parameters(const google::protobuf::Map<std::string, inference::ModelRepositoryParameter>& parameters) {
  for (const auto& [name, value] : parameters) {
    if (name == "unload_dependents") continue;
    throw Error(ErrorCode::kUnsupported, cat("the parameter ", quoted(name), " is not supported: models come from the server's folder as they are there"));
  }
}

/// Loading takes long: it is done on the thread that loads.
template <typename Request, typename Response>
void add_loading(Methods& methods, const routes::Site& site, const std::string& path, void (serving::Repository::*what)(const std::string&)) {
  methods.add_later<Request, Response>(path, [&site, what](std::shared_ptr<const Request> request, std::function<void(const Methods::Answer<Response>&)> send) {
    site.later([&site, what, request = std::move(request), send = std::move(send)] {
      send([&](Response&) {
        refuse_parameters(request->parameters());
        (site.repository.*what)(request->model_name());
      });
    });
  });
}

bool answers(const routes::Site& site, const std::string& name, const std::string& version) {
  try {
    return site.repository.find(name, version_of(version)) != nullptr;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void Methods::take(const std::shared_ptr<Stream>& stream) const {
  const auto found = handlers_.find(stream->method());
  if (found != handlers_.end()) return found->second(stream);
  stream->finish({::grpc::StatusCode::UNIMPLEMENTED, cat("there is no method ", quoted(stream->method()), "; reflection lists those that there are")});
}

void add_open_inference(Methods& methods, const routes::Site& site) {
  using namespace inference;
  const std::string service = kService;
  methods.add_unary<ServerLiveRequest, ServerLiveResponse>(service + "ServerLive", [](const auto&, auto& response) { response.set_live(true); });
  methods.add_unary<ServerReadyRequest, ServerReadyResponse>(service + "ServerReady", [&site](const auto&, auto& response) {
    response.set_ready(site.repository.settled() && !(site.stopping && site.stopping()));
  });
  methods.add_unary<ModelReadyRequest, ModelReadyResponse>(service + "ModelReady", [&site](const auto& request, auto& response) {
    response.set_ready(answers(site, request.name(), request.version()));
  });
  methods.add_unary<ServerMetadataRequest, ServerMetadataResponse>(service + "ServerMetadata", [](const auto&, auto& response) { fill(response, wire::server_metadata()); });
  methods.add_unary<ModelMetadataRequest, ModelMetadataResponse>(service + "ModelMetadata", [&site](const auto& request, auto& response) {
    fill(response, wire::model_metadata(site.repository, *site.repository.find(request.name(), version_of(request.version()))));
  });
  methods.add_unary<ModelConfigRequest, ModelConfigResponse>(service + "ModelConfig", [&site](const auto& request, auto& response) {
    fill(*response.mutable_config(), wire::model_config(*site.repository.find(request.name(), version_of(request.version()))));
  });
  methods.add_unary<ModelStatisticsRequest, ModelStatisticsResponse>(service + "ModelStatistics", [&site](const auto& request, auto& response) {
    std::vector<std::shared_ptr<const serving::Served>> served;
    if (request.name().empty()) {
      served = site.repository.served();
    } else {
      served.push_back(site.repository.find(request.name(), version_of(request.version())));
    }
    fill(response, wire::model_statistics(served));
  });
  methods.add_unary<RepositoryIndexRequest, RepositoryIndexResponse>(service + "RepositoryIndex", [&site](const auto& request, auto& response) {
    fill(response, {{"models", wire::repository_index(site.repository, request.ready())}});
  });
  add_loading<RepositoryModelLoadRequest, RepositoryModelLoadResponse>(methods, site, service + "RepositoryModelLoad", &serving::Repository::load);
  add_loading<RepositoryModelUnloadRequest, RepositoryModelUnloadResponse>(methods, site, service + "RepositoryModelUnload", &serving::Repository::unload);
}

}  // namespace portfire::rpc
