#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include <grpcpp/server_context.h>

#include "transport/routes/router.h"

namespace portfire::rpc {

/// The status with which a call is turned away at the site's doors; nothing where it may come in. Keys come as the metadata
/// "authorization" ("Bearer KEY") or "x-api-key". Health checks of gRPC and of the protocol are open to all.
/// `access`, where it is not null, gets the key's name.
std::optional<::grpc::Status> refused(const routes::Site& site, const ::grpc::ServerContextBase& context, std::string_view method, Access* access);

/// What will be logged of a call; null where nothing is.
std::unique_ptr<Access> noted(const routes::Site& site, const ::grpc::ServerContextBase& context, std::string_view method);

}  // namespace portfire::rpc
