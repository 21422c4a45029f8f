#include "codecs/text/post_processor.h"

#include <portfire/error.h>

#include "codecs/text/normalizers.h"
#include "core/text.h"

namespace portfire::text {
namespace {

/// ["[CLS]", 101]
std::int64_t named_id(const JsonNode& node) {
  const std::vector<JsonNode> pair = node.elements();
  if (pair.size() != 2) node.fail("a token and its id are needed");
  return pair[1].integer(0);
}

PostProcessor from_template(const JsonNode& node) {
  node.require({"single", "special_tokens"});
  const JsonNode special = node.at("special_tokens");
  PostProcessor made;
  int texts = 0;
  for (const JsonNode& part : node.at("single").elements()) {
    const auto [kind, value] = part.only_field();
    value.require({"id"});
    if (kind == "Sequence") {
      ++texts;
      continue;
    }
    if (kind != "SpecialToken") part.fail(cat("the key ", quoted(kind), " is not known; one of Sequence, SpecialToken"));
    const std::string name = value.at("id").string();
    if (!special.has(name)) value.fail(cat("the token ", quoted(name), " is not in special_tokens"));
    special.at(name).require({"ids"});
    for (const JsonNode& id : special.at(name).at("ids").elements()) (texts == 0 ? made.before : made.after).push_back(id.integer(0));
  }
  if (texts != 1) node.at("single").fail(cat("has ", texts, " places for the text; one is needed"));
  return made;
}

PostProcessor around(const JsonNode& node) {
  node.require({"cls", "sep"});
  return {{named_id(node.at("cls"))}, {named_id(node.at("sep"))}, node.has("trim_offsets") && node.at("trim_offsets").boolean()};
}

}  // namespace

PostProcessor make_post_processor(const JsonNode& node) {
  node.require({"type"});
  const std::string type = node.at("type").string();
  if (type == "TemplateProcessing") return from_template(node);
  if (type == "BertProcessing" || type == "RobertaProcessing") return around(node);
  if (type == "ByteLevel") return {{}, {}, !node.has("trim_offsets") || node.at("trim_offsets").boolean()};
  if (type != "Sequence") fail_unknown(node, "post-processor", type);
  node.require({"processors"});
  PostProcessor all;
  for (const JsonNode& step : node.at("processors").elements()) {
    const PostProcessor one = make_post_processor(step);
    if (!one.before.empty() || !one.after.empty()) {
      // Hugging Face's takes what the first makes for a pair of texts.
      if (!all.before.empty() || !all.after.empty()) throw Error(ErrorCode::kUnsupported, "a post-processor in which two steps add tokens is not supported");
      all.before = one.before;
      all.after = one.after;
    }
    all.trims_offsets = all.trims_offsets || one.trims_offsets;
  }
  return all;
}

}  // namespace portfire::text
