#include "archive/manifest_json.h"

#include <filesystem>
#include <map>

#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

using test::expect_error;

const std::string kData = PORTFIRE_TEST_DATA "/manifest/";

std::string document(const std::string& name) { return test::text_of(read_file(kData + name)); }

TEST(ManifestJson, ReadsEveryField) {
  const Manifest m = parse_manifest(document("valid/image_classification.json"), "m");
  EXPECT_EQ(m.format_version, 1);
  EXPECT_EQ(m.name, "digits-cnn");
  EXPECT_EQ(m.version, 3);
  EXPECT_EQ(m.task, "image-classification");
  EXPECT_EQ(m.licence, "Apache-2.0");
  EXPECT_EQ(m.description, "Handwritten digits, 0 to 9.");
  EXPECT_EQ(m.raw_input, (RawInput{.kind = "image", .max_pixels = 1048576}));
  ASSERT_EQ(m.methods.size(), 3u);
  EXPECT_EQ(m.methods[0].name, "preprocess");
  EXPECT_EQ(m.methods[1].name, "forward");
  EXPECT_EQ(m.methods[2].name, "postprocess");
  const TensorSpec& image = m.methods[0].inputs.at(0);
  EXPECT_EQ(image.name, "image");
  EXPECT_EQ(image.dtype, DType::kUInt8);
  EXPECT_EQ(image.shape, (std::vector<Dimension>{{-1, "H"}, {-1, "W"}, {3, ""}}));
  EXPECT_EQ(image.minimum, 0);
  EXPECT_EQ(image.maximum, 255);
  EXPECT_EQ(image.layout, "HWC");
  EXPECT_EQ(image.unit, "");
  EXPECT_FALSE(m.methods[1].inputs.at(0).minimum.has_value());
  EXPECT_EQ(m.labels, (std::vector<std::string>{"zero", "one", "zwölf"}));
  EXPECT_EQ(m.max_batch, 64);
  EXPECT_EQ(m.tolerances, (std::vector<Tolerance>{{DType::kFloat32, 1e-5, 1e-4}}));
  EXPECT_EQ(m.golden, (std::vector<GoldenSample>{{"golden/0/input.png", "golden/0/expected.safetensors"}}));
  ASSERT_EQ(m.files.size(), 2u);
  EXPECT_EQ(m.files[1].path, "golden/0/input.png");
  EXPECT_EQ(m.files[1].bytes, 123);
  EXPECT_EQ(m.files[1].sha256, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
  EXPECT_EQ(m.provenance_json, R"({"metrics":{"accuracy":0.9875},"recipe":"image-classification","seed":0})");
}

TEST(ManifestJson, ReadsWhatItWrites) {
  for (const auto& file : std::filesystem::directory_iterator(kData + "valid")) {
    const Manifest m = parse_manifest(test::text_of(read_file(file.path().string())), "m");
    EXPECT_EQ(parse_manifest(to_json(m), "again"), m) << file.path();
  }
}

TEST(ManifestJson, RefusesANewerFormatWhateverElseItHolds) {
  expect_error([] { parse_manifest(R"({"format_version": 2, "everything": "else"})", "m.pt: manifest"); },
               ErrorCode::kVersionMismatch,
               "m.pt: manifest: format_version: 2 is newer than 1, the newest that this Portfire reads");
}

// Which fault each document of tests/data/manifest/invalid has, as its error says it.
const std::map<std::string, std::string> kFaults{
    {"batch_axes_differ", R"(methods.forward.outputs[0].shape: the first axis is "M", and "N" elsewhere)"},
    {"batch_axis_is_fixed", "methods.forward.inputs[0].shape: the first axis is the batch and must be a symbol"},
    {"classifier_of_tensors", R"(raw_input.kind: the task image-classification needs "image")"},
    {"classifier_with_a_label_twice", "labels: a label is there twice"},
    {"classifier_without_golden", "golden: the task image-classification needs at least one golden sample"},
    {"classifier_without_labels", "labels: the task image-classification needs at least one label"},
    {"classifier_without_preprocess", "methods: the task image-classification needs the method preprocess"},
    {"deep", "nested more than 64 deep"},
    {"dtype_unknown", R"(methods.forward.inputs[0].dtype: "float8" is not a dtype; one of bool, uint8)"},
    {"file_absolute", R"(files["/input.png"]: the path "/input.png" is absolute)"},
    {"file_bytes_negative", R"(files["golden/0/input.png"].bytes: -1 is not a whole number of at least 0)"},
    {"file_hash_in_capitals", R"(files["golden/0/input.png"].sha256: )"},
    {"file_is_the_manifest", R"(files["manifest.json"]: manifest.json cannot hold its own hash)"},
    {"file_outside", R"(files["../input.png"]: the path "../input.png" has a "." or ".." component)"},
    {"format_version_is_text", R"(format_version: "1" is not a whole number of at least 1)"},
    {"format_version_newer", "format_version: 2 is newer than 1"},
    {"format_version_zero", "format_version: 0 is not a whole number of at least 1"},
    {"forward_missing", R"(methods: the field "forward" is missing)"},
    {"generation_of_a_classifier", "generation: is for the task text-generation, which needs it"},
    {"generation_without_context", R"(generation: the field "context" is missing)"},
    {"generation_without_state", "methods.forward.inputs: the task text-generation needs ids, positions, select, and state"},
    {"generator_without_generation", "generation: is for the task text-generation, which needs it"},
    {"golden_not_in_files", R"(golden[0].input: "golden/1/input.png" is not in files)"},
    {"inputs_empty", "methods.forward.inputs: is empty; at least one tensor"},
    {"key_twice", R"(the key "version" is there twice)"},
    {"label_is_a_number", "labels[1]: 1 is not a string"},
    {"licence_empty", "licence: is empty"},
    {"logits_of_another_vocabulary", "methods.forward.outputs[0]: not float32 [R, 100], logits of every token"},
    {"max_batch_zero", "max_batch: 0 is not a whole number of at least 1"},
    {"max_pixels_zero", "raw_input.max_pixels: 0 is not a whole number of at least 1"},
    {"method_unknown", R"(methods: the field "train" is not known; allowed are forward, preprocess, postprocess)"},
    {"minimum_above_maximum", "methods.preprocess.inputs[0]: minimum 300 is greater than maximum 255"},
    {"minimum_is_text", R"(methods.preprocess.inputs[0].minimum: "0" is not a finite number)"},
    {"name_is_a_path", R"(name: "../digits" is not a model name)"},
    {"name_too_long", "is not a model name; 1 to 64 of"},
    {"name_with_capital", R"(name: "Digits" is not a model name)"},
    {"number_too_large", "not JSON"},
    {"one_label_too_few", "methods.postprocess.outputs[0].shape: not [2], one number for each label"},
    {"output_name_twice", R"(methods.forward.outputs: the name "y" is there twice)"},
    {"outputs_are_lost", "methods.postprocess.inputs: 1 tensors, and 2 in methods.forward.outputs"},
    {"padding_is_text", R"(methods.forward.inputs[0].padding: "0" is not a finite number)"},
    {"padding_of_an_output", "methods.forward.outputs[0].padding: only inputs of forward are filled up"},
    {"padding_of_fixed_sizes", "methods.forward.inputs[1].padding: no axis but the first may differ in size"},
    {"padding_out_of_range", "methods.forward.inputs[0].padding: 100 is out of the tensor's range"},
    {"picture_has_one_channel", "methods.preprocess.inputs[0].shape: a raw image is [H, W, 3]"},
    {"picture_is_float", "methods.preprocess.inputs[0].dtype: a raw image is uint8"},
    {"prompt_longer_than_context", "raw_input.max_tokens: 256 is more than the context of 64"},
    {"provenance_is_a_list", "provenance: an array is not an object"},
    {"raw_kind_unknown", R"(raw_input.kind: "smell" is not known; one of image, text, tensor)"},
    {"raw_tensor_with_max_pixels", R"(raw_input: the field "max_pixels" is not known; allowed are kind)"},
    {"root_is_an_array", "m: not a JSON object"},
    {"sample_of_another_dtype", "methods.preprocess.outputs[0].dtype: float64, and float32 in methods.forward.inputs[0]"},
    {"sample_of_another_size",
     "methods.preprocess.outputs[0].shape: not methods.forward.inputs[0].shape without its first axis"},
    {"shape_lower_case_symbol", R"(methods.forward.inputs[0].shape[0]: "n" is not a symbol)"},
    {"shape_negative", "methods.forward.inputs[0].shape[1]: -1 is not a whole number of at least 0"},
    {"shape_too_long", "methods.forward.inputs[0].shape: 17 axes; at most 16 are read"},
    {"task_unknown", R"(task: "mind-reading" is not known; one of image-classification, text-classification, text-generation, tensor)"},
    {"select_of_each_row", "methods.forward.inputs[2]: not int64 select [R]"},
    {"state_of_nothing", "methods.forward.inputs[3].shape: a state's size is 0; at least 1"},
    {"state_without_end", "methods.forward.inputs[3].shape: the state of one text has"},
    {"state_without_rows", "methods.forward.inputs[3].shape: state has the axis N once, T at most once, and fixed sizes"},
    {"stop_token_beyond_vocabulary", "generation.stop_tokens: 100 is not in the vocabulary, which ends at 99"},
    {"tensor_name_with_slash", R"(methods.forward.inputs[0].name: "a/b" is not a tensor's name)"},
    {"text_classifier_of_pictures", R"(raw_input.kind: the task text-classification needs "text")"},
    {"text_longer_unknown", R"(raw_input.longer: "shorten" is not known; one of refuse, truncate)"},
    {"text_max_tokens_zero", "raw_input.max_tokens: 0 is not a whole number of at least 1"},
    {"text_without_tokenizer", R"(raw_input: the field "tokenizer" is missing)"},
    {"tokenizer_not_in_files", R"(raw_input.tokenizer: "assets/other.json" is not in files)"},
    {"tokens_are_float", "methods.preprocess.inputs[0]: a text is int64 [L], token ids"},
    {"tokens_without_maximum", "methods.preprocess.inputs[0]: token ids need the minimum 0 and a maximum"},
    {"token_ids_beyond_belief", "methods.forward.inputs[0].maximum: 1e+18 is too great for a token id"},
    {"tolerance_negative", R"(tolerances["float32"]: a tolerance is not negative)"},
    {"tolerance_of_unknown_dtype", R"(tolerances: "float8" is not a dtype)"},
    {"version_is_a_fraction", "version: 1.5 is not a whole number of at least 1"},
    {"version_zero", "version: 0 is not a whole number of at least 1"},
};

TEST(ManifestJson, RefusesEachInvalidDocumentByItsFault) {
  std::size_t documents = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(kData + "invalid")) {
    if (file.path().extension() != ".json") continue;
    SCOPED_TRACE(file.path());
    ++documents;
    const auto fault = kFaults.find(file.path().stem().string());
    ASSERT_NE(fault, kFaults.end()) << "say in kFaults which fault the document has";
    const std::string text = test::text_of(read_file(file.path().string()));
    const bool newer = file.path().stem() == "format_version_newer";
    expect_error([&] { parse_manifest(text, "m"); }, newer ? ErrorCode::kVersionMismatch : ErrorCode::kInvalidPackage,
                 fault->second);
  }
  EXPECT_EQ(documents, kFaults.size());
}

}  // namespace
}  // namespace portfire
