#include "codecs/text/pre_tokenizers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "codecs/text/byte_alphabet.h"
#include "codecs/text/characters.h"
#include "codecs/text/normalizers.h"
#include "core/text.h"

namespace portfire::text {
namespace {

/// What becomes of the matches: the names are those of the field `behavior`.
enum class Behaviour { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// A part of a piece, and whether the pattern matched it.
struct Part {
  Range range;
  bool matched;
};

Behaviour behaviour_of(const JsonNode& node) {
  const std::string name = node.string();
  if (name == "Removed") return Behaviour::kRemoved;
  if (name == "Isolated") return Behaviour::kIsolated;
  if (name == "MergedWithPrevious") return Behaviour::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behaviour::kMergedWithNext;
  if (name == "Contiguous") return Behaviour::kContiguous;
  node.fail(cat(quoted(name), " is not known; one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous"));
}

void put(std::vector<Range>& out, Range range) {
  if (range.begin < range.end) out.push_back(range);
}

/// The parts of one piece, put together as the behaviour says.
void join_parts(const std::vector<Part>& parts, Behaviour behaviour, std::vector<Range>& out) {
  bool previous_matched = false;
  bool begun = false;
  Range open{};
  const auto close = [&] {
    if (begun) put(out, open);
    begun = false;
  };
  for (const Part& part : parts) {
    switch (behaviour) {
      case Behaviour::kRemoved:
        if (!part.matched) put(out, part.range);
        break;
      case Behaviour::kIsolated: put(out, part.range); break;
      case Behaviour::kContiguous:
        if (begun && part.matched == previous_matched) {
          open.end = part.range.end;
        } else {
          close();
          open = part.range;
          begun = true;
        }
        break;
      case Behaviour::kMergedWithPrevious:
        if (part.matched && begun && !previous_matched) {
          open.end = part.range.end;
        } else {
          close();
          open = part.range;
          begun = true;
        }
        break;
      case Behaviour::kMergedWithNext:
        if (begun && previous_matched && !part.matched) {
          open.end = part.range.end;
        } else {
          close();
          open = part.range;
          begun = true;
        }
        break;
    }
    previous_matched = part.matched;
  }
  close();
}

/// Splits every piece at what `find(piece)` gives: the matches within it, from the left.
template <typename Find>
void split(Pieces& pieces, Behaviour behaviour, bool invert, Find find) {
  const std::string_view text = pieces.text.bytes();
  std::vector<Range> out;
  std::vector<Part> parts;
  for (const Range& piece : pieces.ranges) {
    parts.clear();
    std::size_t at = 0;
    const auto part = [&](std::size_t begin, std::size_t end, bool matched) {
      if (begin < end || matched) parts.push_back({{piece.begin + begin, piece.begin + end}, matched != invert});
    };
    for (const Range& match : find(text.substr(piece.begin, piece.end - piece.begin))) {
      part(at, match.begin, false);
      part(match.begin, match.end, true);
      at = match.end;
    }
    part(at, piece.end - piece.begin, false);
    join_parts(parts, behaviour, out);
  }
  pieces.ranges = std::move(out);
}

PreTokenizer split_at(Pattern pattern, Behaviour behaviour, bool invert = false) {
  return [pattern = std::move(pattern), behaviour, invert](Pieces& pieces) {
    split(pieces, behaviour, invert, [&](std::string_view piece) { return pattern.find_all(piece); });
  };
}

/// Every code point for which `is` holds is a match of its own.
template <typename Is>
PreTokenizer split_where(Is is, Behaviour behaviour) {
  return [is, behaviour](Pieces& pieces) {
    split(pieces, behaviour, false, [&](std::string_view piece) {
      std::vector<Range> found;
      for (std::size_t at = 0; at < piece.size();) {
        const CodePoint c = code_point_at(piece, at);
        if (is(c.value)) found.push_back({at, at + c.bytes});
        at += c.bytes;
      }
      return found;
    });
  };
}

/// Writes every piece anew: `change(rewriter, piece)`.
template <typename Change>
void rewrite_pieces(Pieces& pieces, Change change) {
  Rewriter rewriter(pieces.text);
  std::vector<Range> ranges;
  for (const Range& piece : pieces.ranges) {
    const std::size_t begin = rewriter.size();
    change(rewriter, piece);
    put(ranges, {begin, rewriter.size()});
  }
  pieces.text = rewriter.done();
  pieces.ranges = std::move(ranges);
}

bool flag(const JsonNode& node, std::string_view key, bool otherwise) {
  return node.has(key) && !node.at(key).is_null() ? node.at(key).boolean() : otherwise;
}

void spell(Pieces& pieces) {
  const std::string_view text = pieces.text.bytes();
  rewrite_pieces(pieces, [&](Rewriter& rewriter, const Range& piece) {
    for (std::size_t at = piece.begin; at < piece.end; ++at) rewriter.replace(spelling_of(text.substr(at, 1)), {at, at + 1});
  });
}

/// GPT-2's: contractions, then letters, digits and the rest, each with the one space before it.
PreTokenizer byte_level(const JsonNode& node, bool spells) {
  const bool prefix = flag(node, "add_prefix_space", true);
  const bool splits = flag(node, "use_regex", true);
  const Pattern words = Pattern::regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)");
  const PreTokenizer by_words = split_at(words, Behaviour::kIsolated);
  return [prefix, splits, spells, by_words](Pieces& pieces) {
    const std::string_view text = pieces.text.bytes();
    const auto lacks = [&](const Range& piece) { return text[piece.begin] != ' '; };
    if (prefix && std::any_of(pieces.ranges.begin(), pieces.ranges.end(), lacks)) {
      rewrite_pieces(pieces, [&](Rewriter& rewriter, const Range& piece) {
        if (lacks(piece)) rewriter.replace(" ", {piece.begin, piece.begin + 1});
        rewriter.keep(piece);
      });
    }
    if (splits) by_words(pieces);
    if (spells) spell(pieces);
  };
}

/// SentencePiece's way with spaces.
PreTokenizer metaspace(const JsonNode& node) {
  node.require({"replacement"});
  const std::string mark = node.at("replacement").string();
  const std::string scheme = node.has("prepend_scheme")               ? node.at("prepend_scheme").string()
                             : flag(node, "add_prefix_space", true) ? "always"
                                                                      : "never";
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    node.at("prepend_scheme").fail(cat(quoted(scheme), " is not known; one of always, first, never"));
  }
  PreTokenizer cut;
  if (flag(node, "split", true)) cut = split_at(Pattern::literal(mark), Behaviour::kMergedWithNext);
  return [mark, scheme, cut](Pieces& pieces) {
    const std::string_view text = pieces.text.bytes();
    rewrite_pieces(pieces, [&](Rewriter& rewriter, const Range& piece) {
      const std::string_view old = text.substr(piece.begin, piece.end - piece.begin);
      const bool begins = old.starts_with(' ') || old.starts_with(mark);
      const bool wanted = scheme == "always" || (scheme == "first" && pieces.text.source(piece).begin == 0);
      if (wanted && !begins) rewriter.replace(mark, {piece.begin, piece.begin + 1});  // from the first code point
      std::size_t at = piece.begin;
      for (std::size_t space = at; (space = text.find(' ', space)) < piece.end; ++space) {
        rewriter.keep({at, space});
        rewriter.replace(mark, {space, space + 1});
        at = space + 1;
      }
      rewriter.keep({at, piece.end});
    });
    if (cut) cut(pieces);
  };
}

PreTokenizer sequence(const JsonNode& node, bool spells) {
  node.require({"pretokenizers"});
  std::vector<PreTokenizer> steps;
  for (const JsonNode& step : node.at("pretokenizers").elements()) steps.push_back(make_pre_tokenizer(step, spells));
  return [steps](Pieces& pieces) {
    for (const PreTokenizer& step : steps) step(pieces);
  };
}

/// Of all steps, in order.
void list_types(const JsonNode& node, std::vector<std::string>& types) {
  node.require({"type"});
  types.push_back(node.at("type").string());
  if (types.back() != "Sequence") return;
  types.pop_back();
  node.require({"pretokenizers"});
  for (const JsonNode& step : node.at("pretokenizers").elements()) list_types(step, types);
}

PreTokenizer bert() {
  return [spaces = split_where(is_whitespace, Behaviour::kRemoved), marks = split_where(is_punctuation, Behaviour::kIsolated)](Pieces& pieces) {
    spaces(pieces);
    marks(pieces);
  };
}

}  // namespace

PreTokenizer make_pre_tokenizer(const JsonNode& node, bool spells_bytes) {
  node.require({"type"});
  const std::string type = node.at("type").string();
  if (type == "Sequence") return sequence(node, spells_bytes);
  if (type == "ByteLevel") return byte_level(node, spells_bytes);
  if (type == "BertPreTokenizer") return bert();
  if (type == "WhitespaceSplit") return split_where(is_whitespace, Behaviour::kRemoved);
  if (type == "Whitespace") return split_at(Pattern::regex(R"([\w\p{Join_Control}]+|[^\w\p{Join_Control}\s]+)"), Behaviour::kRemoved, true);
  if (type == "Metaspace") return metaspace(node);
  if (type == "Digits") return split_where(is_number, flag(node, "individual_digits", false) ? Behaviour::kIsolated : Behaviour::kContiguous);
  if (type == "Punctuation") {
    return split_where(is_punctuation, node.has("behavior") ? behaviour_of(node.at("behavior")) : Behaviour::kIsolated);
  }
  if (type == "CharDelimiterSplit") {
    node.require({"delimiter"});
    return split_at(Pattern::literal(node.at("delimiter").string()), Behaviour::kRemoved);
  }
  if (type == "Split") {
    node.require({"pattern", "behavior"});
    return split_at(make_pattern(node.at("pattern")), behaviour_of(node.at("behavior")), flag(node, "invert", false));
  }
  fail_unknown(node, "pre-tokenizer", type);
}

bool ends_in_bytes(const JsonNode& node) {
  std::vector<std::string> types;
  list_types(node, types);
  return std::count(types.begin(), types.end(), "ByteLevel") == 1 && types.back() == "ByteLevel";
}

}  // namespace portfire::text
