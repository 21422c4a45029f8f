#include "transport/http/head.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <ctime>
#include <random>

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>

#include <nlohmann/json.hpp>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::http {
namespace {

constexpr std::size_t kLongestId = 128;

/// As RFC 9110 section 5.6.7 writes it; made anew once a second.
std::string_view date_now() {
  thread_local std::time_t made = 0;
  thread_local char text[40] = "";
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now != made) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made = now;
  }
  return text;
}

void append_hex(std::string& out, std::uint64_t value, int digits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int k = digits - 1; k >= 0; --k) out += kDigits[(value >> (4 * k)) & 15];
}

}  // namespace

std::string head_of(const Reply& reply, std::optional<std::size_t> length, std::string_view request_id, bool keeps, bool is_old) {
  std::string head;
  head.reserve(256);
  char number[24];
  const auto text_of = [&](std::size_t value) { return std::string_view(number, static_cast<std::size_t>(std::to_chars(number, number + sizeof number, value).ptr - number)); };
  const auto add = [&](std::string_view name, std::string_view value) {
    head += name;
    head += ": ";
    head += value;
    head += "\r\n";
  };
  head += "HTTP/1.1 ";
  head += text_of(static_cast<std::size_t>(reply.status));
  head += ' ';
  const boost::beast::string_view reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(reply.status));
  head.append(reason.data(), reason.size());
  head += "\r\n";
  add("Date", date_now());
  if (!reply.content_type.empty()) add("Content-Type", reply.content_type);
  if (length) {
    add("Content-Length", text_of(*length));
  } else if (!is_old) {
    add("Transfer-Encoding", "chunked");
  }
  if (!keeps) add("Connection", "close");
  if (keeps && is_old) add("Connection", "keep-alive");
  add("X-Request-Id", request_id);
  add("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : reply.headers) add(name, value);
  head += "\r\n";
  return head;
}

std::string chunk_of(std::string_view part) {
  char size[20];
  std::string out(size, std::to_chars(size, size + sizeof size, part.size(), 16).ptr);
  out += "\r\n";
  out += part;
  out += "\r\n";
  return out;
}

std::string id_for(std::optional<std::string_view> given) {
  const auto printable = [](char c) { return c > ' ' && c < 127; };
  if (given && !given->empty() && given->size() <= kLongestId && std::all_of(given->begin(), given->end(), printable)) return std::string(*given);
  static const std::uint64_t process = (static_cast<std::uint64_t>(std::random_device{}()) << 32) | std::random_device{}();
  static std::atomic<std::uint64_t> count{0};
  std::string id;
  append_hex(id, process, 12);
  append_hex(id, count.fetch_add(1, std::memory_order_relaxed), 8);
  return id;
}

bool waits_to_go_on(std::optional<std::string_view> expect) {
  return expect && boost::beast::iequals({expect->data(), expect->size()}, "100-continue");
}

int status_for_framing(const boost::beast::http::fields& headers, unsigned version) {
  using boost::beast::http::field;
  const bool is_old = version < 11;
  if (const std::size_t hosts = headers.count(field::host); hosts > 1 || (hosts == 0 && !is_old)) return 400;
  const std::size_t lengths = headers.count(field::content_length);
  const std::size_t encodings = headers.count(field::transfer_encoding);
  if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0) || (encodings > 0 && is_old)) return 400;
  if (lengths == 1) {
    const boost::beast::string_view length = headers[field::content_length];
    if (length.empty() || !std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; })) return 400;
  }
  if (encodings == 1 && !boost::beast::iequals(headers[field::transfer_encoding], "chunked")) return 501;
  return 0;
}

int status_for(boost::system::error_code error) {
  namespace http = boost::beast::http;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == boost::beast::error::timeout) return 0;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error == http::error::bad_version) return 505;
  return error.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

Reply refusal(int status, const ServerOptions& options) {
  switch (status) {
    case 408: return error_reply(408, "deadline-exceeded", cat("the request did not come in time: ", options.idle_time.count(), " s are for its head, ", options.body_time.count(), " s and one more for each 64 KiB for its body"));
    case 413: return error_reply(413, "resource-exhausted", cat("the body is longer than ", options.max_body, " bytes, which is the most (portfire serve --max-body)"));
    case 431: return error_reply(431, "resource-exhausted", cat("the headers are longer than ", options.max_header, " bytes, which is the most"));
    case 501: return error_reply(501, "unsupported", "Transfer-Encoding is not \"chunked\", the one that is read");
    case 505: return error_reply(505, "unsupported", "HTTP/1.1 and HTTP/1.0 are spoken here");
    default: return error_reply(status, "invalid-input", "the request is not HTTP/1.1");
  }
}

Reply reply_for(const std::exception& failure) {
  const auto* error = dynamic_cast<const Error*>(&failure);
  const ErrorCodeInfo& info = info_of(error != nullptr ? error->code() : ErrorCode::kInternal);
  Reply reply = error_reply(info.http_status, info.name, failure.what());
  if (info.http_status == 429 || info.http_status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Reply error_reply(int status, std::string_view code, std::string_view message) {
  const nlohmann::ordered_json body{{"error", message}, {"code", code}};
  return {.status = status, .content_type = "application/json", .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", .headers = {}};
}

}  // namespace portfire::http
