#include <portfire/error.h>

#include "transport/grpc/server.h"

namespace portfire::rpc {

struct Server::Impl {};

bool is_built() noexcept { return false; }

Server::Server(const http::ServerOptions&, std::uint16_t) {
  throw Error(ErrorCode::kUnsupported, "this program was built without gRPC (PORTFIRE_BUILD_GRPC); --no-grpc serves HTTP alone");
}
Server::~Server() = default;
void Server::start(const routes::Site&) {}
std::uint16_t Server::port() const { return 0; }
void Server::stop(std::chrono::milliseconds) {}

}  // namespace portfire::rpc
