#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace portfire::test {

/// A client that sends bytes and sees bytes.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("no connection");
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server has closed: its reply is what counts
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void end() const { ::shutdown(socket_, SHUT_WR); }

  /// All that comes until the server closes; ends with "!" where it does so by a reset.
  std::string all() {
    while (more()) {
    }
    return std::exchange(got_, {}) + (reset_ ? "!" : "");
  }
  /// Waits for `part` and gives what came up to its end; what the server sent before it closed where it never came.
  std::string until(std::string_view part) {
    std::size_t at = 0;
    std::size_t from = 0;
    while ((at = got_.find(part, from)) == std::string::npos) {
      from = got_.size() < part.size() ? 0 : got_.size() - part.size();
      if (!more()) return all();
    }
    const std::string out = got_.substr(0, at + part.size());
    got_.erase(0, out.size());
    return out;
  }
  /// One reply with its body, by Content-Length.
  std::string reply() {
    std::string head = until("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const std::size_t length = std::stoul(head.substr(at + 16));
    while (got_.size() < length && more()) {
    }
    head += got_.substr(0, length);
    got_.erase(0, length);
    return head;
  }

 private:
  bool more() {
    char block[65536];
    const ssize_t got = ::recv(socket_, block, sizeof block, 0);
    if (got < 0) reset_ = true;
    if (got > 0) got_.append(block, static_cast<std::size_t>(got));
    return got > 0;
  }

  int socket_;
  std::string got_;
  bool reset_ = false;
};

}  // namespace portfire::test
