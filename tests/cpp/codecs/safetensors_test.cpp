#include <gmock/gmock.h>

#include <portfire/codecs.h>

#include "helpers.h"

namespace portfire {
namespace {

using testing::HasSubstr;

Bytes safetensors(const std::string& header, const std::string& data = "") {
  return bytes_of(little_endian(static_cast<std::uint64_t>(header.size())) + header + data);
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, int begin, int end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string refused(const Bytes& bytes, ErrorCode code = ErrorCode::kInvalidInput) {
  return refusal(code, [&] { decode_safetensors(bytes, "x.st"); });
}

TEST(Safetensors, EveryDtypeOfTheReferencesIsReadSortedByName) {
  const auto tensors = decode_safetensors(test_data("tensors/every_dtype.safetensors"));
  std::vector<std::string> told;
  for (const auto& [name, tensor] : tensors) told.push_back(name + ": " + tensor.to_string(3));
  EXPECT_THAT(told, testing::ElementsAre(
                        "a \"quoted\" \xc3\xa9: uint8 [1] cpu {7}", "bfloat16: bfloat16 [2] cpu {1, -2}",
                        "bool: bool [2, 3] cpu {false, true, true, …}", "float16: float16 [2, 3] cpu {0, 1, 2, …}",
                        "float32: float32 [2, 3] cpu {0, 1, 2, …}", "float64: float64 [2, 3] cpu {0, 1, 2, …}",
                        "int16: int16 [2, 3] cpu {0, 1, 2, …}", "int32: int32 [2, 3] cpu {0, 1, 2, …}",
                        "int64: int64 [2, 3] cpu {0, 1, 2, …}", "int8: int8 [2, 3] cpu {0, 1, 2, …}",
                        "nothing: int64 [0, 4] cpu", "scalar: float32 [] cpu {2.5}",
                        "uint8: uint8 [2, 3] cpu {0, 1, 2, …}"));
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64, 0u) << name;
  }
}

TEST(Safetensors, WhatIsWrittenEqualsTheReferencesFileByteForByte) {
  const Bytes bytes = test_data("tensors/every_dtype.safetensors");
  EXPECT_EQ(text_of(encode_safetensors(decode_safetensors(bytes))), text_of(bytes));
}

TEST(Safetensors, MetadataIsSkipped) {
  const auto tensors = decode_safetensors(test_data("tensors/metadata.safetensors"));
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].name, "x");
}

TEST(Safetensors, NothingIsAFileToo) {
  EXPECT_TRUE(decode_safetensors(encode_safetensors({})).empty());
}

TEST(Safetensors, AStridedTensorIsWrittenInRowMajorOrder) {
  const Tensor fortran = decode_npy(test_data("tensors/fortran.npy"));
  const auto tensors = decode_safetensors(encode_safetensors(std::vector<NamedTensor>{{"x", fortran}}));
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_TRUE(tensors[0].tensor.is_contiguous());
  EXPECT_EQ(tensors[0].tensor, fortran);
}

TEST(Safetensors, OtherDtypesAreUnsupported) {
  EXPECT_EQ(refused(test_data("tensors/refused/float8.safetensors"), ErrorCode::kUnsupported),
            "x.st: tensor \"x\" is of dtype \"F8_E4M3\"; "
            "one of BOOL, U8, I8, I16, F16, BF16, I32, F32, F64, I64 is needed");
}

TEST(Safetensors, EveryShorterFileIsRefused) {
  const Bytes bytes = test_data("tensors/every_dtype.safetensors");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_NE(refused(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))), "") << size;
  }
}

TEST(Safetensors, AHeaderLongerThanTheFileIsRefused) {
  EXPECT_EQ(refused(bytes_of(little_endian(~std::uint64_t{0}) + "{}")),
            "x.st: not .safetensors, or cut short: a header of 18446744073709551615 bytes; at most 2 are possible");
  const std::uint64_t long_header = (16 << 20) + 1;
  EXPECT_THAT(refused(bytes_of(little_endian(long_header) + "{}" + std::string(long_header, ' '))),
              HasSubstr("at most 16777216 are possible"));
}

TEST(Safetensors, TensorsTileTheFile) {
  const auto two = [](int begin, int end) {
    return safetensors("{" + entry("a", "U8", "[2]", 0, 2) + "," +
                           entry("b", "U8", "[" + std::to_string(end - begin) + "]", begin, end) + "}",
                       "1234");
  };
  EXPECT_EQ(decode_safetensors(two(2, 4)).size(), 2u);
  EXPECT_THAT(refused(two(1, 4)), HasSubstr("\"b\" lies at bytes 1 to 4; one that begins at 2"));
  EXPECT_THAT(refused(two(3, 4)), HasSubstr("\"b\" lies at bytes 3 to 4; one that begins at 2"));
  EXPECT_THAT(refused(two(2, 5)), HasSubstr("ends by 4"));
  EXPECT_THAT(refused(two(2, 3)), HasSubstr("1 bytes after the last tensor"));
  EXPECT_THAT(refused(safetensors("{" + entry("a", "U8", "[0]", 4, 2) + "}", "1234")), HasSubstr("bytes 4 to 2"));
  EXPECT_THAT(refused(safetensors("{}", "1")), HasSubstr("1 bytes after the last tensor"));
}

TEST(Safetensors, TheSizeIsWhatDtypeAndShapeTake) {
  EXPECT_EQ(refused(safetensors("{" + entry("a", "F32", "[2]", 0, 4) + "}", "1234")),
            "x.st: tensor \"a\": 4 bytes of elements; float32 [2] takes 8");
  EXPECT_THAT(refused(safetensors("{" + entry("a", "I64", "[4294967296,4294967296]", 0, 0) + "}")),
              HasSubstr("larger than memory"));
  EXPECT_THAT(refused(safetensors("{" + entry("a", "BOOL", "[1]", 0, 1) + "}", "x")), HasSubstr("a bool of value 120"));
}

TEST(Safetensors, AHeaderIsNeverGuessed) {
  const std::string good = entry("a", "U8", "[1]", 0, 1);
  for (const std::string& header :
       {std::string("[]"), std::string("{"), std::string("5"), std::string(), "{" + good + "," + good + "}",
        std::string(R"({"a":1})"), std::string(R"({"a":{"dtype":"U8","shape":[1]}})"),
        std::string(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})"),
        std::string(R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})"),
        std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":["0",1]}})")}) {
    EXPECT_THAT(refused(safetensors(header, "x")), HasSubstr("x.st: ")) << header;
  }
}

TEST(Safetensors, DeepNestingIsRefusedWithoutRecursion) {
  for (const std::string& open : {std::string("["), std::string("{\"a\":")}) {
    std::string header;
    for (int depth = 0; depth < 1'000'000; ++depth) header += open;
    EXPECT_THAT(refused(safetensors(header)), HasSubstr("JSON more than 3 levels deep"));
  }
}

TEST(Safetensors, NamesAreDistinctAndUtf8) {
  const Tensor x = Tensor::zeros(DType::kUInt8, {1});
  const auto refused_names = [&](const std::string& first, const std::string& second) {
    const std::vector<NamedTensor> tensors{{first, x}, {second, x}};
    return refusal(ErrorCode::kInvalidArgument, [&] { encode_safetensors(tensors); });
  };
  EXPECT_THAT(refused_names("a", "a"), HasSubstr("\"a\" stands twice"));
  EXPECT_THAT(refused_names("a", "__metadata__"), HasSubstr("reserved"));
  EXPECT_THAT(refused_names("a", "\xff"), HasSubstr("\"\\xff\" is not UTF-8"));
}

}  // namespace
}  // namespace portfire
