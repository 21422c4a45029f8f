#include "transport/access_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.h"

namespace portfire {
namespace {

constexpr std::size_t kLongestPath = 300;
constexpr std::array<std::string_view, 17> kGrpcNames{
    "OK",           "CANCELLED", "UNKNOWN",             "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED",   "OUT_OF_RANGE", "UNIMPLEMENTED",    "INTERNAL",          "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

bool is_grpc(const Access& access) { return access.method == "gRPC"; }

/// "2026-11-22T11:33:51.123Z"
std::string time_of(std::chrono::system_clock::time_point when) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%FT%T", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(ms % 1000));
  return text;
}

std::string milliseconds_of(std::chrono::nanoseconds time) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(time.count()) / 1e6);
  return text;
}

std::string dropped_line(std::uint64_t count, bool json) {
  const std::string time = time_of(std::chrono::system_clock::now());
  const std::string text = cat(count, " lines of the access log are missing: they were not taken fast enough");
  if (!json) return cat(time, ' ', text, '\n');
  return nlohmann::ordered_json{{"time", time}, {"event", "access-dropped"}, {"text", text}, {"lines", count}}.dump() + "\n";
}

}  // namespace

std::string trace_id_of(std::string_view traceparent) {
  constexpr std::size_t kLength = 55;  // "00-", 32 digits, "-", 16 digits, "-", 2 digits
  if (traceparent.size() < kLength || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-') return {};
  const std::string_view version = traceparent.substr(0, 2);
  const std::string_view trace = traceparent.substr(3, 32);
  const std::string_view parent = traceparent.substr(36, 16);
  if (!is_hex(version) || version == "ff" || !is_hex(trace) || is_zero(trace) || !is_hex(parent) || is_zero(parent) || !is_hex(traceparent.substr(53, 2))) return {};
  // Later versions may have more behind another dash.
  if (traceparent.size() > kLength && (version == "00" || traceparent[kLength] != '-')) return {};
  return std::string(trace);
}

std::string_view grpc_status_name(int status) { return status >= 0 && status < static_cast<int>(kGrpcNames.size()) ? kGrpcNames[static_cast<std::size_t>(status)] : "UNKNOWN"; }

std::string AccessLog::text_of(const Access& access) {
  std::string line = cat(time_of(access.came), ' ', quoted(cat(access.method, ' ', access.path), kLongestPath), ' ');
  if (!access.status) {
    line += "gone";
  } else if (is_grpc(access)) {
    line += grpc_status_name(*access.status);
  } else {
    line += std::to_string(*access.status);
  }
  if (access.status && !access.complete) line += " incomplete";
  line += cat(' ', milliseconds_of(access.took), " ms in=", access.bytes_in, " out=", access.bytes_out);
  if (!access.model.empty()) line += cat(" model=", access.model);
  if (access.version > 0) line += cat('/', access.version);
  if (!access.key.empty()) line += cat(" key=", access.key);
  line += cat(" id=", access.request_id);
  if (!access.trace_id.empty()) line += cat(" trace=", access.trace_id);
  return line;
}

std::string AccessLog::json_of(const Access& access) {
  using nlohmann::ordered_json;
  const auto text = [](const std::string& value) { return value.empty() ? ordered_json(nullptr) : ordered_json(value); };
  ordered_json json{{"time", time_of(access.came)}, {"event", "access"}, {"id", access.request_id}, {"protocol", is_grpc(access) ? "grpc" : "http"},
                    {"method", text(access.method)}, {"path", text(access.path.substr(0, kLongestPath))}};
  json["status"] = access.status ? ordered_json(*access.status) : ordered_json(nullptr);
  if (is_grpc(access) && access.status) json["code"] = grpc_status_name(*access.status);
  json["complete"] = access.complete;
  json["milliseconds"] = static_cast<double>(access.took.count()) / 1e6;
  json["bytes_in"] = access.bytes_in;
  json["bytes_out"] = access.bytes_out;
  json["model"] = text(access.model);
  json["version"] = access.version > 0 ? ordered_json(access.version) : ordered_json(nullptr);
  json["key"] = text(access.key);
  json["trace_id"] = text(access.trace_id);
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

AccessLog::AccessLog(bool json, std::function<void(const std::string&)> write) : json_(json), write_(std::move(write)), thread_([this] { work(); }) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void AccessLog::add(Access access) {
  access.took = std::chrono::steady_clock::now() - access.begun;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMostWaiting) {
      ++dropped_;
      return;
    }
    waiting_.push_back(std::move(access));
  }
  changed_.notify_one();
}

void AccessLog::work() {
  for (;;) {
    std::deque<Access> taken;
    std::uint64_t dropped = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty() && dropped_ == 0) return;
      taken.swap(waiting_);
      dropped = std::exchange(dropped_, 0);
    }
    std::string lines;
    for (const Access& access : taken) {
      lines += json_ ? json_of(access) : text_of(access);
      lines += '\n';
    }
    if (dropped > 0) lines += dropped_line(dropped, json_);
    write_(lines);
  }
}

}  // namespace portfire
