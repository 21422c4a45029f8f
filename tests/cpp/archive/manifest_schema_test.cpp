#include <fstream>
#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "archive/manifest_json.h"
#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

// docs/manifest.schema.json is walked beside a document that has a value at every place of it, so that a
// field added to one of schema and reader, and not to the other, fails here.
namespace portfire {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

Json load(const std::string& path) { return Json::parse(test::text_of(read_file(path))); }

const Json& schema() {
  static const Json kSchema = load(PORTFIRE_TEST_DATA "/../../docs/manifest.schema.json");
  return kSchema;
}

struct Place {
  Pointer at;
  Json description;  // the schema's, of an object
};

Json resolved(const Json& description, const Json& value) {
  if (description.contains("$ref")) {
    return resolved(schema().at(Pointer(description["$ref"].get<std::string>().substr(1))), value);
  }
  if (description.contains("oneOf")) {  // told apart by "kind"
    for (const Json& choice : description["oneOf"]) {
      if (choice["properties"]["kind"]["const"] == value.at("kind")) return choice;
    }
  }
  return description;
}

void collect(const Json& found, const Json& value, const Pointer& at, std::vector<Place>& places) {
  const Json description = resolved(found, value);
  if (value.is_array() && description.contains("items")) {
    for (std::size_t k = 0; k < value.size(); ++k) collect(description["items"], value[k], at / k, places);
  }
  if (!value.is_object()) return;
  if (description.contains("properties")) places.push_back({at, description});
  for (const auto& [key, child] : value.items()) {
    if (description.contains("properties") && description["properties"].contains(key)) {
      collect(description["properties"][key], child, at / key, places);
    } else if (description.value("additionalProperties", Json()).is_object()) {
      collect(description["additionalProperties"], child, at / key, places);
    }
  }
}

std::vector<Place> places_of(const Json& document) {
  std::vector<Place> places;
  collect(schema(), document, Pointer(), places);
  return places;
}

Json valid() { return load(PORTFIRE_TEST_DATA "/manifest/valid/image_classification.json"); }

TEST(ManifestSchema, IsWalkedToItsEnds) {
  // The root, raw_input, methods, three methods of two tensors each, tolerance, golden and two files.
  EXPECT_EQ(places_of(valid()).size(), 3u + 3 + 6 + 1 + 1 + 2);
}

TEST(ManifestSchema, EveryRequiredFieldIsRequiredByTheReader) {
  const Json document = valid();
  for (const Place& place : places_of(document)) {
    for (const Json& key : place.description.at("required")) {
      Json without = document;
      without.at(place.at).erase(key.get<std::string>());
      test::expect_error([&] { parse_manifest(without.dump(), "m"); }, ErrorCode::kInvalidPackage,
                         "the field " + key.dump() + " is missing");
    }
  }
}

TEST(ManifestSchema, NoObjectTakesAnUnknownField) {
  const Json document = valid();
  for (const Place& place : places_of(document)) {
    Json with = document;
    with.at(place.at)["surprise"] = 1;
    test::expect_error([&] { parse_manifest(with.dump(), "m"); }, ErrorCode::kInvalidPackage,
                       "the field \"surprise\" is not known");
  }
}

TEST(ManifestSchema, EveryOptionalFieldIsReadByTheReader) {
  Json document = load(PORTFIRE_TEST_DATA "/manifest/valid/text_classification.json");
  Json& tensor = document["methods"]["forward"]["inputs"][0];
  const Json samples{{"minimum", -1.5}, {"maximum", 2}, {"layout", "NCHW"}, {"unit", "Hz"}, {"padding", 1}};
  for (const auto& [key, description] : schema()["$defs"]["tensor"]["properties"].items()) {
    if (tensor.contains(key)) continue;
    ASSERT_TRUE(samples.contains(key)) << key;
    tensor[key] = samples[key];
  }
  const Json written = Json::parse(to_json(parse_manifest(document.dump(), "m")));
  EXPECT_EQ(written, document);
}

}  // namespace
}  // namespace portfire
