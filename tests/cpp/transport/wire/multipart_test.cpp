#include "transport/wire/multipart.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"
#include "core/text.h"

namespace portfire::wire {
namespace {

using test::expect_error;

std::string part(std::string_view head, std::string_view content) { return cat("--b\r\n", head, "\r\n\r\n", content, "\r\n"); }
std::string file(std::string_view name, std::string_view file_name, std::string_view content) {
  return part(cat("Content-Disposition: form-data; name=\"", name, "\"; filename=\"", file_name, "\"\r\nContent-Type: image/png"), content);
}

void expect_refused(const std::string& body, const std::string& why) {
  expect_error([&] { (void)form_parts(body, "b"); }, ErrorCode::kInvalidInput, why);
}

TEST(FormBoundary, IsReadOfFormsAlone) {
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=----WebKitFormBoundaryabc123"), "----WebKitFormBoundaryabc123");
  EXPECT_EQ(form_boundary(" Multipart/FORM-data ;charset=utf-8; Boundary=\"a b:c\" "), "a b:c");
  for (const char* other : {"", "application/json", "image/png", "multipart/mixed; boundary=b", "multipart/form-datas; boundary=b", "application/json; x=multipart/form-data"}) {
    EXPECT_EQ(form_boundary(other), std::nullopt) << other;
  }
}

TEST(FormBoundary, IsRefusedWhereItIsNone) {
  for (const char* bad : {"multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=\"b \"",
                          "multipart/form-data; boundary=a;boundary=b", "multipart/form-data; boundary=\"b", "multipart/form-data; boundary=a b", "multipart/form-data; boundary=\"a\"b",
                          "multipart/form-data; boundary=\"a\rb\"", "multipart/form-data; boundary=a@b", "multipart/form-data; x boundary=b", "multipart/form-data; =b"}) {
    expect_error([&] { (void)form_boundary(bad); }, ErrorCode::kInvalidInput, "the form");
  }
  EXPECT_EQ(form_boundary(cat("multipart/form-data; boundary=", std::string(70, 'x'))), std::string(70, 'x'));
  expect_error([] { (void)form_boundary(cat("multipart/form-data; boundary=", std::string(71, 'x'))); }, ErrorCode::kInvalidInput, "70 letters");
}

TEST(FormParts, ComeInTheirOrderAsTheyAre) {
  const std::string bytes("\0\x89PNG\r\n--a\r\n-b\r\n--", 19);
  const std::string body = cat(file("image", "a.png", bytes), file("image", "../b.png", ""), part("content-disposition:form-data;name=text", "\r\n"), "--b--\r\n");
  const std::vector<FormPart> parts = form_parts(body, "b");
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].name, "image");
  EXPECT_EQ(parts[0].file_name, "a.png");
  EXPECT_EQ(parts[0].content, bytes);
  EXPECT_EQ(parts[1].file_name, "../b.png");  // data, as it came
  EXPECT_EQ(parts[1].content, "");
  EXPECT_EQ(parts[2].name, "text");
  EXPECT_EQ(parts[2].file_name, "");
  EXPECT_EQ(parts[2].content, "\r\n");
}

TEST(FormParts, NamesAreReadAsBrowsersAndCurlWriteThem) {
  const auto names = [](std::string_view parameters) {
    const std::string body = cat(part(cat("Content-Disposition: form-data; ", parameters), ""), "--b--");
    const FormPart one = form_parts(body, "b").at(0);
    return std::pair(one.name, one.file_name);
  };
  EXPECT_EQ(names(R"(name="a\"b"; filename="c;d=e.png")"), (std::pair<std::string, std::string>("a\"b", "c;d=e.png")));
  EXPECT_EQ(names(R"(name=x; filename="C:\pictures\a.png")"), (std::pair<std::string, std::string>("x", R"(C:\pictures\a.png)")));
  EXPECT_EQ(names("NAME=\"\" ; filename*=UTF-8''%e2%82%ac.png;"), (std::pair<std::string, std::string>("", "")));
  EXPECT_EQ(names("name=\"\xc3\xa4\"; filename=\"%22.png\""), (std::pair<std::string, std::string>("\xc3\xa4", "%22.png")));
}

TEST(FormParts, SpacesMayFollowABoundary) {
  EXPECT_EQ(form_parts("--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b-- \t", "b").at(0).content, "x");
}

TEST(FormParts, WhatIsNotWellFormedIsRefused) {
  const std::string good = file("a", "a.png", "x");
  const std::string end = "--b--\r\n";
  EXPECT_EQ(form_parts(good + end, "b").size(), 1U);
  expect_refused("", "does not begin");
  expect_refused("preamble\r\n" + good + end, "does not begin");
  expect_refused("--c" + good + end, "does not begin");
  expect_refused(end, "no part");
  expect_refused(good + end + "more", "4 bytes follow");
  expect_refused(good + end + end, "bytes follow");
  expect_refused("--bX\r\n\r\nx\r\n--b--", "goes on with");
  expect_refused("--b\n\nx\n--b--", "goes on with");
  expect_refused(good, "does not end");
  expect_refused(good + "--b", "a boundary goes on with");
  expect_refused(good + "--b-", "a boundary goes on with");
  expect_refused(file("a", "a.png", "x\r\n--bb"), "a boundary goes on with");  // who reads a prefix and who reads a line differ
  expect_refused("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx", "parts[0] does not end");
  expect_refused("--b\r\nContent-Disposition: form-data; name=a\r\n", "head does not end");
}

TEST(FormParts, HeadsAreHeldToTheRules) {
  const auto head = [](std::string_view text) { return part(text, "x") + "--b--"; };
  expect_refused("--b\r\n\r\nx\r\n--b--", "no Content-Disposition");
  expect_refused(head("Content-Type: image/png"), "no Content-Disposition");
  expect_refused(head("Content-Disposition: form-data"), "no name");
  expect_refused(head("Content-Disposition: attachment; name=a"), "attachment");
  expect_refused(head("Content-Disposition: form-data; name=a; name=b"), "twice");
  expect_refused(head("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b"), "two Content-Dispositions");
  expect_refused(head("Content-Disposition: form-data; name=\"a"), "does not end");
  expect_refused(head("Content-Disposition: form-data; name=\"a\" b"), "goes on with");
  expect_refused(head("Content-Disposition: form-data; name=a/b"), "needs quotes");
  expect_refused(head("Content-Disposition: form-data; name"), "not name=value");
  expect_refused(head("Content-Disposition form-data"), "header that is none");
  expect_refused(head("Content-Disposition: form-data; name=a;\r\n filename=b"), "header that is none");  // folded
  expect_refused(head("Content-Disposition : form-data; name=a"), "header that is none");
  expect_refused(head("Content-Disposition: form-data; name=\"a\nb\""), "header that is none");
  expect_refused(head("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64"), "base64");
  EXPECT_EQ(form_parts(head("Content-Disposition: form-data; name=a\r\ncontent-transfer-encoding: Binary"), "b").size(), 1U);
  expect_refused(head(cat("Content-Disposition: form-data; name=a\r\nX: ", std::string(kLongestPartHead, 'x'))), "within 4096 bytes");
}

TEST(FormParts, AreNotTooMany) {
  std::string body;
  for (std::size_t k = 0; k < kMostParts; ++k) body += part("Content-Disposition: form-data; name=a", "");
  EXPECT_EQ(form_parts(body + "--b--", "b").size(), kMostParts);
  expect_refused(body + part("Content-Disposition: form-data; name=a", "") + "--b--", "more than 256 parts");
}

}  // namespace
}  // namespace portfire::wire
