#include "archive/manifest_check.h"

#include <algorithm>
#include <array>
#include <set>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

class Check {
 public:
  Check(const Manifest& manifest, const std::string& name) : manifest_(manifest), name_(name) {}

  void all() const {
    if (manifest_.method("forward") == nullptr) fail("methods", "the field \"forward\" is missing");
    for (const MethodSpec& method : manifest_.methods) {
      unique_names(method.inputs, cat("methods.", method.name, ".inputs"));
      unique_names(method.outputs, cat("methods.", method.name, ".outputs"));
    }
    golden_files();
    paddings();
    if (manifest_.task == "image-classification") {
      classification("image");
      picture(*manifest_.method("preprocess"));
    }
    if ((manifest_.task == "text-generation") != manifest_.generation.has_value()) fail("generation", "is for the task text-generation, which needs it");
    if (manifest_.task == "text-generation") generation();
    if (manifest_.task == "text-classification") {
      classification("text");
      text(*manifest_.method("preprocess"));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& path, const std::string& problem) const {
    throw Error(ErrorCode::kInvalidPackage, cat(name_, ": ", path, ": ", problem));
  }

  void unique_names(const std::vector<TensorSpec>& specs, const std::string& path) const {
    std::set<std::string> seen;
    for (const TensorSpec& spec : specs) {
      if (!seen.insert(spec.name).second) fail(path, cat("the name ", quoted(spec.name), " is there twice"));
    }
  }

  bool packaged(const std::string& path) const {
    return std::any_of(manifest_.files.begin(), manifest_.files.end(), [&](const PackagedFile& file) { return file.path == path; });
  }

  void golden_files() const {
    for (std::size_t k = 0; k < manifest_.golden.size(); ++k) {
      const std::string path = cat("golden[", k, "]");
      const GoldenSample& sample = manifest_.golden[k];
      if (!packaged(sample.input)) fail(path + ".input", cat(quoted(sample.input), " is not in files"));
      if (!packaged(sample.expected)) fail(path + ".expected", cat(quoted(sample.expected), " is not in files"));
    }
  }

  /// Only what is batched is filled up, and only where sizes may differ.
  void paddings() const {
    for (const MethodSpec& method : manifest_.methods) {
      const auto refuse = [&](const std::vector<TensorSpec>& specs, const char* side, bool allowed) {
        for (std::size_t k = 0; k < specs.size(); ++k) {
          const TensorSpec& spec = specs[k];
          if (!spec.padding) continue;
          const std::string path = cat("methods.", method.name, ".", side, "[", k, "].padding");
          const auto symbolic = [](const Dimension& axis) { return !axis.symbol.empty(); };
          if (!allowed) fail(path, "only inputs of forward are filled up");
          if (spec.shape.empty() || std::none_of(spec.shape.begin() + 1, spec.shape.end(), symbolic)) fail(path, "no axis but the first may differ in size");
          if ((spec.minimum && *spec.padding < *spec.minimum) || (spec.maximum && *spec.padding > *spec.maximum)) fail(path, cat(*spec.padding, " is out of the tensor's range"));
        }
      };
      refuse(method.inputs, "inputs", method.name == "forward");
      refuse(method.outputs, "outputs", false);
    }
  }

  /// What every task from something raw to one of its labels needs.
  void classification(const std::string& kind) const {
    const std::string task = cat("the task ", manifest_.task, " needs ");
    if (manifest_.raw_input.kind != kind) fail("raw_input.kind", cat(task, "\"", kind, "\""));
    if (manifest_.labels.empty()) fail("labels", task + "at least one label");
    if (manifest_.golden.empty()) fail("golden", task + "at least one golden sample");
    for (const std::string_view name : {"preprocess", "forward", "postprocess"}) {
      if (manifest_.method(name) == nullptr) fail("methods", cat(task, "the method ", name));
    }
    const MethodSpec& preprocess = *manifest_.method("preprocess");
    const MethodSpec& forward = *manifest_.method("forward");
    const MethodSpec& postprocess = *manifest_.method("postprocess");
    batch_axis(forward);
    follows(preprocess.outputs, "methods.preprocess.outputs", forward.inputs, "methods.forward.inputs");
    follows(postprocess.inputs, "methods.postprocess.inputs", forward.outputs, "methods.forward.outputs");
    probabilities(postprocess);
  }

  /// `preprocess` takes what the image codecs give.
  void picture(const MethodSpec& preprocess) const {
    const std::string path = "methods.preprocess.inputs";
    if (preprocess.inputs.size() != 1) fail(path, "a raw image is one tensor");
    const TensorSpec& spec = preprocess.inputs.front();
    if (spec.dtype != DType::kUInt8) fail(path + "[0].dtype", "a raw image is uint8");
    if (spec.shape.size() != 3 || (spec.shape[2].size != 3 && spec.shape[2].symbol.empty())) {
      fail(path + "[0].shape", "a raw image is [H, W, 3]");
    }
  }

  /// `forward` takes tokens, their positions, the places whose logits are wanted, and state.
  void generation() const {
    const std::string task = "the task text-generation needs ";
    const RawInput& raw = manifest_.raw_input;
    if (raw.kind != "text") fail("raw_input.kind", task + "\"text\"");
    if (!packaged(raw.tokenizer)) fail("raw_input.tokenizer", cat(quoted(raw.tokenizer), " is not in files"));
    if (raw.max_tokens > manifest_.generation->context) fail("raw_input.max_tokens", cat(raw.max_tokens, " is more than the context of ", manifest_.generation->context));
    if (manifest_.golden.empty()) fail("golden", task + "at least one golden sample");
    const MethodSpec& forward = *manifest_.method("forward");
    const std::string path = "methods.forward.inputs";
    constexpr std::array<std::string_view, 3> kNames{"ids [N, S]", "positions [N, S]", "select [R]"};
    if (forward.inputs.size() <= kNames.size()) fail(path, task + "ids, positions, select, and state");
    for (std::size_t k = 0; k < kNames.size(); ++k) {
      const TensorSpec& spec = forward.inputs[k];
      std::string shape;
      for (const Dimension& axis : spec.shape) shape += axis.symbol;
      if (spec.dtype != DType::kInt64 || shape != (k < 2 ? "NS" : "R")) fail(cat(path, "[", k, "]"), cat("not int64 ", kNames[k]));
    }
    if (forward.inputs[0].minimum != 0 || !forward.inputs[0].maximum) fail(path + "[0]", "token ids need the minimum 0 and a maximum");
    constexpr double kMostTokens = 1 << 24;
    if (*forward.inputs[0].maximum >= kMostTokens) fail(path + "[0].maximum", cat(*forward.inputs[0].maximum, " is too great for a token id; below ", kMostTokens));
    const auto vocabulary = static_cast<std::int64_t>(*forward.inputs[0].maximum) + 1;
    for (std::size_t k = kNames.size(); k < forward.inputs.size(); ++k) state(forward.inputs[k], cat(path, "[", k, "].shape"));
    const TensorSpec& logits = forward.outputs.front();
    const std::vector<Dimension> wanted{{.size = -1, .symbol = "R"}, {.size = vocabulary, .symbol = {}}};
    if (logits.dtype != DType::kFloat32 || logits.shape != wanted) fail("methods.forward.outputs[0]", cat("not float32 [R, ", vocabulary, "], logits of every token"));
    for (const std::int64_t token : manifest_.generation->stop_tokens) {
      if (token >= vocabulary) fail("generation.stop_tokens", cat(token, " is not in the vocabulary, which ends at ", vocabulary - 1));
    }
  }

  /// A row for each text, and at most one axis with room for tokens.
  void state(const TensorSpec& spec, const std::string& path) const {
    const auto count = [&](std::string_view symbol) {
      return std::count_if(spec.shape.begin(), spec.shape.end(), [&](const Dimension& axis) { return axis.symbol == symbol; });
    };
    const auto symbolic = std::count_if(spec.shape.begin(), spec.shape.end(), [](const Dimension& axis) { return !axis.symbol.empty(); });
    if (count("N") != 1 || count("T") > 1 || symbolic != count("N") + count("T")) fail(path, "state has the axis N once, T at most once, and fixed sizes");
    constexpr double kMostElements = 1LL << 40;  // of one text
    double elements = 1;
    for (const Dimension& axis : spec.shape) {
      if (axis.symbol.empty() && axis.size < 1) fail(path, cat("a state's size is ", axis.size, "; at least 1"));
      if (axis.symbol != "N") elements *= static_cast<double>(axis.symbol == "T" ? manifest_.generation->context : axis.size);
    }
    if (elements > kMostElements) fail(path, cat("the state of one text has ", elements, " elements; at most ", kMostElements));
  }

  /// `preprocess` takes what the tokenizer gives, and bounds it: an id beyond an embedding reads other memory.
  void text(const MethodSpec& preprocess) const {
    if (!packaged(manifest_.raw_input.tokenizer)) fail("raw_input.tokenizer", cat(quoted(manifest_.raw_input.tokenizer), " is not in files"));
    const std::string path = "methods.preprocess.inputs";
    if (preprocess.inputs.size() != 1) fail(path, "a text is one tensor");
    const TensorSpec& spec = preprocess.inputs.front();
    if (spec.dtype != DType::kInt64 || spec.shape.size() != 1 || spec.shape[0].symbol.empty()) fail(path + "[0]", "a text is int64 [L], token ids");
    if (!spec.minimum || *spec.minimum != 0 || !spec.maximum) fail(path + "[0]", "token ids need the minimum 0 and a maximum");
  }

  /// `forward` alone is batched, and on the same axis everywhere.
  void batch_axis(const MethodSpec& forward) const {
    std::string symbol;
    const auto walk = [&](const std::vector<TensorSpec>& specs, const std::string& path) {
      for (std::size_t k = 0; k < specs.size(); ++k) {
        const std::string place = cat(path, "[", k, "].shape");
        if (specs[k].shape.empty() || specs[k].shape[0].symbol.empty()) {
          fail(place, "the first axis is the batch and must be a symbol, such as \"N\"");
        }
        if (symbol.empty()) symbol = specs[k].shape[0].symbol;
        if (specs[k].shape[0].symbol != symbol) {
          fail(place, cat("the first axis is ", quoted(specs[k].shape[0].symbol), ", and ", quoted(symbol),
                          " elsewhere in forward; the batch has one symbol"));
        }
      }
    };
    walk(forward.inputs, "methods.forward.inputs");
    walk(forward.outputs, "methods.forward.outputs");
  }

  /// `postprocess` gives one number for each label.
  void probabilities(const MethodSpec& postprocess) const {
    const std::set<std::string> distinct(manifest_.labels.begin(), manifest_.labels.end());
    if (distinct.size() != manifest_.labels.size()) fail("labels", "a label is there twice");
    const auto& shape = postprocess.outputs.front().shape;
    const auto count = static_cast<std::int64_t>(manifest_.labels.size());
    if (shape.size() != 1 || shape.front() != Dimension{.size = count, .symbol = {}}) {
      fail("methods.postprocess.outputs[0].shape", cat("not [", count, "], one number for each label"));
    }
  }

  /// Each single tensor is one sample of the batched tensor at the same place.
  void follows(const std::vector<TensorSpec>& single, const std::string& path, const std::vector<TensorSpec>& batched,
               const std::string& batched_path) const {
    if (single.size() != batched.size()) {
      fail(path, cat(single.size(), " tensors, and ", batched.size(), " in ", batched_path));
    }
    for (std::size_t k = 0; k < single.size(); ++k) {
      if (single[k].dtype != batched[k].dtype) {
        fail(cat(path, "[", k, "].dtype"), cat(name_of(single[k].dtype), ", and ", name_of(batched[k].dtype), " in ",
                                               batched_path, "[", k, "]"));
      }
      const auto& shape = single[k].shape;
      const auto& whole = batched[k].shape;
      bool fits = shape.size() + 1 == whole.size();
      for (std::size_t axis = 0; fits && axis < shape.size(); ++axis) {
        const bool both_fixed = shape[axis].symbol.empty() && whole[axis + 1].symbol.empty();
        fits = !both_fixed || shape[axis].size == whole[axis + 1].size;
      }
      if (!fits) {
        fail(cat(path, "[", k, "].shape"), cat("not ", batched_path, "[", k, "].shape without its first axis"));
      }
    }
  }

  const Manifest& manifest_;
  const std::string& name_;
};

}  // namespace

void check_manifest(const Manifest& manifest, const std::string& name) { Check(manifest, name).all(); }

}  // namespace portfire
