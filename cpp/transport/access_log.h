#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace portfire {

/// What the access log says of a request.
struct Access {
  std::chrono::system_clock::time_point came = std::chrono::system_clock::now();
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  std::string request_id{};
  std::string trace_id{};       ///< empty where the client gave none
  std::string key{};            ///< whose it is, never the key itself
  std::string method{};         ///< "GET"; "gRPC"; empty where none could be read, as the path then is
  std::string path{};           ///< without the query; of gRPC the method's full name
  std::string model{};          ///< empty where it is not known, as the version then is 0
  std::int64_t version = 0;
  std::optional<int> status{};  ///< of HTTP or of gRPC; nothing where the client went away before it was told
  bool complete = false;        ///< the reply was sent to its end
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::chrono::nanoseconds took{};
};

/// The trace id in W3C Trace Context's `traceparent`; empty where it is invalid, for it is ignored then.
std::string trace_id_of(std::string_view traceparent);

/// "OK", "NOT_FOUND": a gRPC status as people know it.
std::string_view grpc_status_name(int status);

/// One line for each request, for people or (`json`) for programs. Thread-safe.
class AccessLog {
 public:
  /// Lines go to `write`, whole ones, on a thread of the log's own: what reads them slowly holds up nobody else.
  AccessLog(bool json, std::function<void(const std::string& lines)> write);
  /// After the last line has been written.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Sets `took`. Where thousands wait to be written the line is dropped, and counted in a line of its own.
  void add(Access access);

  [[nodiscard]] static std::string text_of(const Access& access);  ///< without an end of line, as the next
  [[nodiscard]] static std::string json_of(const Access& access);

  static constexpr std::size_t kMostWaiting = 10'000;

 private:
  void work();

  const bool json_;
  const std::function<void(const std::string&)> write_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Access> waiting_;  ///< under mutex_, as these two
  std::uint64_t dropped_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace portfire
