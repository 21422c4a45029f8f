#include "apps/text_source.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace portfire::apps {
namespace {

/// Everything that a source gives, an error as "! " and its message.
std::vector<std::string> all(TextSource& source) {
  std::vector<std::string> texts;
  while (const auto row = source.next()) {
    const auto* error = std::get_if<Error>(&row->text);
    texts.push_back(error != nullptr ? std::string("! ") + error->what() : std::get<std::string>(row->text));
  }
  return texts;
}

using Texts = std::vector<std::string>;

class TextFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / "text_source";
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  Texts read(const std::string& name, const std::string& content, const std::string& column = "text", std::size_t most = 100) {
    Texts texts = all(*texts_in(write(name, content), column, most));
    const std::string prefix = "! " + (folder_ / name).string();
    for (std::string& text : texts) {
      if (text.starts_with(prefix)) text.replace(2, prefix.size() - 2, name);
    }
    return texts;
  }

  std::filesystem::path folder_;
};

TEST(TextArguments, AreTheTexts) {
  EXPECT_EQ(all(*texts_of({"one", "", "two words"}, 10)), (Texts{"one", "", "two words"}));
}

TEST_F(TextFiles, LinesEndAsTheyMay) {
  EXPECT_EQ(read("a.txt", "one\r\ntwo\n\n  three"), (Texts{"one", "two", "  three"}));
  EXPECT_EQ(read("a.txt", ""), Texts{});
}

TEST_F(TextFiles, ALineThatIsTooLongIsOneError) {
  EXPECT_EQ(read("a.txt", "12345\n1234567\nabc\n", "", 5), (Texts{"12345", "! a.txt:2: a text of 7 bytes; at most 5 are taken", "abc"}));
}

TEST_F(TextFiles, ATableIsReadAsRfc4180SaysIt) {
  EXPECT_EQ(read("a.csv", "id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n2,plain\r\n\r\n3,\"\"\r\n"), (Texts{"a, \"b\"\r\nc", "plain", ""}));
  EXPECT_EQ(read("a.tsv", "text\ty\nsome, thing\t1\nlast\t2"), (Texts{"some, thing", "last"}));
  EXPECT_EQ(read("a.csv", "\xEF\xBB\xBFtext,y\nx,1\n"), Texts{"x"});
}

TEST_F(TextFiles, ARowThatIsTooShortIsOneErrorByItsLine) {
  EXPECT_EQ(read("a.csv", "y,text\n1,\"two\nlines\"\n2\n3,x\n"), (Texts{"two\nlines", "! a.csv:4: the row ends before column 2", "x"}));
  EXPECT_EQ(read("a.csv", "text\n123456\nab\n", "text", 5), (Texts{"! a.csv:2: a text of 6 bytes; at most 5 are taken", "ab"}));
}

TEST_F(TextFiles, AQuoteThatIsNotClosedSwallowsNoRowsInSilence) {
  EXPECT_EQ(read("a.csv", "id,text\n1,good\n2,\"bad\n3,lost\n"), (Texts{"good", "! a.csv:3: the quote that begins in line 3 is not closed"}));
  EXPECT_EQ(read("a.csv", "text,id\nx,\"1\n"), (Texts{"! a.csv:2: the quote that begins in line 2 is not closed"}));
}

TEST_F(TextFiles, ATableWithoutTheColumnIsRefused) {
  const std::string path = write("a.csv", "review,stars\ngood,5\n");
  try {
    (void)texts_in(path, "text", 100);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), path + ": has no column \"text\"; it has \"review\", \"stars\"; --column names one");
  }
  EXPECT_THROW((void)texts_in(write("b.csv", ""), "text", 100), Error);
  EXPECT_THROW((void)texts_in((folder_ / "none.csv").string(), "text", 100), Error);
  EXPECT_THROW((void)texts_in(folder_.string(), "text", 100)->next(), Error);
}

TEST_F(TextFiles, JsonLinesHaveAField) {
  EXPECT_EQ(read("a.jsonl", "{\"text\": \"a\\nb\", \"y\": 1}\n\"bare\"\n"), (Texts{"a\nb", "bare"}));
  EXPECT_EQ(read("a.jsonl", "{\"text\": 5}\n{\n{\"text\": \"x\"}\n"),
            (Texts{"! a.jsonl:1: has no text in the field \"text\"; --column names another", "! a.jsonl:2: \"{\" is not JSON", "x"}));
}

}  // namespace
}  // namespace portfire::apps
