#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/local/connect_pair.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "fuzz.h"
#include "transport/http/session.h"

namespace {

using namespace portfire;
using namespace portfire::http;

constexpr std::size_t kMostPieces = 64;

/// All that can be read now.
void receive(LocalSocket& client, std::string& got) {
  char part[4096];
  error_code failed;
  while (!failed) {
    const std::size_t size = client.read_some(asio::buffer(part), failed);
    got.append(part, size);
  }
}

/// Takes a whole reply from the front, or finds fault.
int take_reply(std::string& got, bool is_head) {
  beast::http::response_parser<beast::http::string_body> parser;
  parser.skip(is_head);
  parser.eager(true);
  error_code failed;
  std::size_t used = 0;
  while (!parser.is_done() && !failed) {
    const std::size_t more = parser.put(asio::buffer(got.data() + used, got.size() - used), failed);
    used += more;
    if (more == 0 && !failed) break;
  }
  if (!failed && parser.need_eof() && used == got.size()) parser.put_eof(failed);  // HTTP/1.0: to the end of the connection
  require(!failed && parser.is_done());
  got.erase(0, used);
  return parser.get().result_int();
}

}  // namespace

/// A connection on which these bytes come, in pieces, and then no more: whole replies come back, one for each request that the
/// gate saw and at most one that refuses the rest, and nothing is left.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::max<std::size_t>(std::size_t{data[0]} + 1, size / kMostPieces);
  asio::io_context io{1};
  const auto shared = std::make_shared<Shared>();
  shared->options.max_body = 4096;
  shared->options.max_header = 1024;
  std::vector<bool> heads;
  shared->gate = [&heads](const Request& request) -> std::optional<Reply> {
    heads.push_back(request.method() == "HEAD");
    if (request.header("Authorization")) return Reply{.status = 401, .body = "who are you?"};
    return std::nullopt;
  };
  shared->handler = [&heads](Request& request, const std::shared_ptr<Exchange>& exchange) {
    require(request.body().size() <= 4096);
    if (request.target().ends_with("parts") && !heads.back()) {
      exchange->begin({.body = "a part"});
      (void)exchange->write(request.body());
      exchange->end();
    } else {
      exchange->send({.body = request.body()});
    }
  };
  LocalSocket client(io.get_executor());
  LocalSocket served(io.get_executor());
  asio::local::connect_pair(client, served);
  client.non_blocking(true);
  std::make_shared<Session<LocalSocket>>(shared, std::move(served))->start();
  std::string got;
  error_code failed;
  for (std::size_t at = 1; at < size && !failed;) {
    at += client.write_some(asio::buffer(data + at, std::min(piece, size - at)), failed);
    io.poll();
    io.restart();
    receive(client, got);
  }
  client.shutdown(asio::socket_base::shutdown_send, failed);
  for (int turn = 0; turn < 1000 && shared->connections > 0; ++turn) {
    io.poll();
    io.restart();
    receive(client, got);
  }
  receive(client, got);
  require(shared->connections == 0);
  std::size_t replies = 0;
  while (!got.empty()) {
    if (take_reply(got, replies < heads.size() && heads[replies]) != 100) ++replies;
  }
  require(replies <= heads.size() + 1);
  return 0;
}
