#include "transport/grpc/admission.h"

#include "transport/doors.h"
#include "transport/http/head.h"

namespace portfire::rpc {
namespace {

/// The first of several.
std::optional<std::string_view> metadata(const ::grpc::ServerContextBase& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string_view(found->second.data(), found->second.size());
}

std::optional<std::string_view> credential_of(const ::grpc::ServerContextBase& context) {
  for (const char* name : {"authorization", "x-api-key"}) {
    if (const auto value = metadata(context, name)) return value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<::grpc::Status> refused(const routes::Site& site, const ::grpc::ServerContextBase& context, std::string_view method, Access* access) {
  if (site.doors == nullptr || !site.doors->asks()) return std::nullopt;
  if (method.starts_with("/grpc.health.v1.") || method.ends_with("/ServerLive") || method.ends_with("/ServerReady")) return std::nullopt;
  const bool controls = method.ends_with("/RepositoryModelLoad") || method.ends_with("/RepositoryModelUnload");
  switch (site.doors->admit(credential_of(context), controls, access != nullptr ? &access->key : nullptr)) {
    case Doors::Verdict::kCome: return std::nullopt;
    case Doors::Verdict::kUnknown: return ::grpc::Status(::grpc::StatusCode::UNAUTHENTICATED, "a key is needed: authorization: Bearer KEY, or x-api-key: KEY");
    case Doors::Verdict::kTooOften: return ::grpc::Status(::grpc::StatusCode::RESOURCE_EXHAUSTED, "this key has made all the requests of this second; come again later");
    case Doors::Verdict::kForbidden: return ::grpc::Status(::grpc::StatusCode::PERMISSION_DENIED, "this key may not load or unload models");
  }
  return std::nullopt;
}

std::unique_ptr<Access> noted(const routes::Site& site, const ::grpc::ServerContextBase& context, std::string_view method) {
  if (site.access_log == nullptr) return nullptr;
  auto access = std::make_unique<Access>();
  access->method = "gRPC";
  access->path = method;
  access->request_id = http::id_for(metadata(context, "x-request-id"));
  if (context.client_metadata().count("traceparent") == 1) access->trace_id = trace_id_of(*metadata(context, "traceparent"));
  return access;
}

}  // namespace portfire::rpc
