#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/system/error_code.hpp>

#include "transport/http/exchange.h"
#include "transport/http/server.h"

namespace portfire::http {

/// The status line and the headers of a reply, with the empty line. Without `length` the body comes in chunks, or (`is_old`,
/// HTTP/1.0) to the end of the connection.
std::string head_of(const Reply& reply, std::optional<std::size_t> length, std::string_view request_id, bool keeps, bool is_old);

/// One chunk of RFC 9112 section 7.1; not of an empty part, which would be the last.
std::string chunk_of(std::string_view part);

/// The client's own where it is short and printable, else one of ours.
std::string id_for(std::optional<std::string_view> given);

inline std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

/// True of `Expect: 100-continue`: the body comes once `kGoOn` has been sent.
bool waits_to_go_on(std::optional<std::string_view> expect);
inline constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";

/// 0 where it is certain where the request ends and who is meant, else the status to refuse it with. What others might read in
/// another way is refused, though we know how to read it: they may stand before us.
int status_for_framing(const boost::beast::http::fields& headers, unsigned version);

/// The status with which an error in reading is answered; 0 where nobody is there to hear it.
int status_for(boost::system::error_code error);
Reply refusal(int status, const ServerOptions& options);

/// What a handler threw, as a reply.
Reply reply_for(const std::exception& failure);
/// {"error": message, "code": code}
Reply error_reply(int status, std::string_view code, std::string_view message);

}  // namespace portfire::http
