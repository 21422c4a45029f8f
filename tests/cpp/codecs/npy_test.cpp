#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include <portfire/codecs.h>

#include "helpers.h"

namespace portfire {
namespace {

using testing::HasSubstr;

/// A file of version 1 with that header and those elements.
Bytes npy(const std::string& header, const std::string& elements = "") {
  return bytes_of("\x93NUMPY" + std::string("\x01\0", 2) + little_endian(static_cast<std::uint16_t>(header.size())) +
                  header + elements);
}

std::string header(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
}

std::string refused(const Bytes& bytes, ErrorCode code = ErrorCode::kInvalidInput) {
  return refusal(code, [&] { decode_npy(bytes, "x.npy"); });
}

TEST(Npy, EachDtypeOfNumpysIsRead) {
  for (const std::string dtype :
       {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}) {
    const Tensor tensor = decode_npy(test_data("tensors/" + dtype + ".npy"));
    EXPECT_EQ(name_of(tensor.dtype()), dtype);
    EXPECT_EQ(tensor.shape(), (Dims{2, 3}));
    EXPECT_THAT(tensor.to_string(),
                HasSubstr(dtype == "bool" ? "{false, true, true, true, false, true}" : "{0, 1, 1, 1, 0, 1}"));
  }
}

TEST(Npy, WhatIsWrittenEqualsNumpysFileByteForByte) {
  for (const std::string name : {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
                                 "scalar", "vector", "empty"}) {
    const Bytes bytes = test_data("tensors/" + name + ".npy");
    EXPECT_EQ(text_of(encode_npy(decode_npy(bytes))), text_of(bytes)) << name;
  }
}

TEST(Npy, FortranOrderIsReadThroughStrides) {
  const Tensor tensor = decode_npy(test_data("tensors/fortran.npy"));
  EXPECT_EQ(tensor.strides(), (Dims{1, 2, 6}));
  std::vector<std::int32_t> expected(24);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(tensor, Tensor::copy_of(expected, {2, 3, 4}));
}

TEST(Npy, AScalarHasNoAxes) {
  const Tensor tensor = decode_npy(test_data("tensors/scalar.npy"));
  EXPECT_EQ(tensor.rank(), 0u);
  EXPECT_EQ(tensor.values<double>()[0], 2.5);
}

TEST(Npy, NanIsKept) { EXPECT_TRUE(std::isnan(decode_npy(test_data("tensors/vector.npy")).values<float>()[0])); }

TEST(Npy, VersionsTwoAndThreeAreRead) {
  const Tensor expected = Tensor::copy_of(std::vector<std::int64_t>{0, 1, 2, 3, 4}, {5});
  EXPECT_EQ(decode_npy(test_data("tensors/version2.npy")), expected);
  EXPECT_EQ(decode_npy(test_data("tensors/version3.npy")), expected);
  Bytes four = test_data("tensors/version3.npy");
  four[6] = std::byte{4};
  EXPECT_EQ(refused(four, ErrorCode::kUnsupported), "x.npy: .npy version 4; 1 to 3 are supported");
}

TEST(Npy, OtherElementTypesAreRefused) {
  const auto why = [](const std::string& name) {
    return refused(test_data("tensors/refused/" + name + ".npy"), ErrorCode::kUnsupported);
  };
  EXPECT_THAT(why("big_endian"), HasSubstr("\">f4\" is big-endian"));
  EXPECT_THAT(why("objects"), HasSubstr("pickled Python objects"));
  EXPECT_THAT(why("records"), HasSubstr("records"));
  EXPECT_THAT(why("text"), HasSubstr("\"<U3\"; one of |b1"));
  EXPECT_THAT(why("complex"), HasSubstr("\"<c8\"; one of |b1"));
}

TEST(Npy, EveryShorterFileIsRefused) {
  for (const std::string name : {"float32", "version2", "fortran"}) {
    const Bytes bytes = test_data("tensors/" + name + ".npy");
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_NE(refused(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))), "") << size;
    }
  }
}

TEST(Npy, ALongerFileIsRefused) {
  Bytes bytes = test_data("tensors/float32.npy");
  bytes.push_back(std::byte{0});
  EXPECT_EQ(refused(bytes), "x.npy: 25 bytes of elements; float32 [2, 3] takes 24");
}

TEST(Npy, ShapesPastMemoryAreRefused) {
  EXPECT_THAT(refused(npy(header("<f4", "(4611686018427387904, 4)"))), HasSubstr("larger than memory"));
  EXPECT_THAT(refused(npy(header("|u1", "(0, 9223372036854775807, 9223372036854775807)"))),
              HasSubstr("larger than memory"));
  EXPECT_THAT(refused(npy(header("|u1", "(99999999999999999999,)"))), HasSubstr("a size is needed"));
  EXPECT_THAT(refused(npy(header("|u1", "(1000000000,)"))), HasSubstr("takes 1000000000"));
  const std::string axes = "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)";
  EXPECT_THAT(refused(npy(header("|u1", axes), "x"), ErrorCode::kUnsupported), HasSubstr("17 axes; at most 16"));
}

TEST(Npy, ABoolIsZeroOrOne) {
  EXPECT_EQ(refused(npy(header("|b1", "(2,)"), "\x01\x02")), "x.npy: a bool of value 2; 0 or 1 is needed");
}

TEST(Npy, AHeaderIsReadInAnyOrderAndSpacing) {
  const Tensor expected = Tensor::copy_of(std::vector<std::uint8_t>{1, 2}, {2});
  EXPECT_EQ(decode_npy(npy("{\"shape\":(2L,),'fortran_order':False,'descr':'|u1'}", "\1\2")), expected);
  EXPECT_EQ(decode_npy(npy(" { 'shape' : ( 2 , ) , 'fortran_order' : True , 'descr' : '|u1' , } \n", "\1\2")),
            expected);
}

TEST(Npy, AHeaderIsNeverGuessed) {
  for (const std::string text :
       {"", "{", "{}", "[]", "{'descr': '|u1'}", "{'descr': '|u1', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 1}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '|u1, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '|\\x75', 'fortran_order': False}",
        "{'descr': '|u1' 'fortran_order': False, 'shape': (1,)}"}) {
    EXPECT_THAT(refused(npy(text, "x")), HasSubstr("damaged .npy header")) << text;
  }
}

TEST(Npy, ALongHeaderIsRefused) {
  const Bytes bytes = bytes_of("\x93NUMPY" + std::string("\x02\0", 2) + little_endian(std::uint32_t{100'000}) +
                               header("|u1", "(0,)") + std::string(100'000, ' '));
  EXPECT_THAT(refused(bytes, ErrorCode::kUnsupported), HasSubstr("header of 100000 bytes; at most 65536"));
}

TEST(Npy, TextIsRefusedWithItsBeginning) {
  EXPECT_EQ(refused(bytes_of("Once upon a time")), "x.npy: not a .npy file (starts with \"Once upo\")");
}

TEST(Npy, Bfloat16HasNoType) {
  const std::string why =
      refusal(ErrorCode::kUnsupported, [] { encode_npy(Tensor::zeros(DType::kBFloat16, {2})); });
  EXPECT_THAT(why, HasSubstr("bfloat16 has no .npy type"));
}

}  // namespace
}  // namespace portfire
