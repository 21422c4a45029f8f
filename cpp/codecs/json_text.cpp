#include "codecs/json_text.h"

#include <set>
#include <string>
#include <vector>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {

nlohmann::json parse_json(std::string_view what, std::span<const std::byte> bytes, int max_depth) {
  using Json = nlohmann::json;
  using Event = Json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of each object that is open
  const auto check = [&](int depth, Event event, const Json& value) {
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= max_depth) {
        throw Error(ErrorCode::kInvalidInput, cat(what, ": JSON more than ", max_depth, " levels deep"));
      }
      if (event == Event::object_start) keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key && !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw Error(ErrorCode::kInvalidInput,
                  cat(what, ": key ", quoted(value.get_ref<const std::string&>()), " stands twice in one object"));
    }
    return true;
  };
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  try {
    return Json::parse(begin, begin + bytes.size(), check);
  } catch (const Json::parse_error& error) {
    throw Error(ErrorCode::kInvalidInput, cat(what, ": not JSON from its byte ", error.byte, " on"));
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kInvalidInput, cat(what, ": JSON with a number that is too large"));
  }
}

}  // namespace portfire
