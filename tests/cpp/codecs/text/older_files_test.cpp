#include <filesystem>
#include <fstream>

#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

/// A folder with these files, gone with the test.
class Folder {
 public:
  Folder() : path_(std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

const std::string kWords = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\nc\n";

TEST(OlderFiles, Gpt2sTwoFilesAreOneTokenizer) {
  const Folder folder;
  folder.write("vocab.json", R"({"a":0,"b":1,"ab":2,"Ġ":3,"<|endoftext|>":4})");
  folder.write("merges.txt", "#version: 0.2\na b\r\n\n");
  const Tokenizer t = Tokenizer::load(folder.path());
  EXPECT_EQ(ids(t, "ab a<|endoftext|>b"), (Ids{2, 3, 0, 4, 1}));
  EXPECT_EQ(decoded(t, {2, 3, 0, 4, 1}), "ab ab");
  EXPECT_EQ(decoded(t, {2, 4}, false), "ab<|endoftext|>");
}

TEST(OlderFiles, BertsVocabularyIsOne) {
  const Folder folder;
  folder.write("vocab.txt", kWords);
  const Tokenizer t = Tokenizer::load(folder.path());
  EXPECT_EQ(ids(t, "\u00c1B, C"), (Ids{2, 4, 5, 1, 6, 3}));
  EXPECT_EQ(decoded(t, {2, 4, 5, 6, 3}), "ab c");
  EXPECT_EQ(ids(Tokenizer::load(folder.write("vocab.txt", kWords)), "c"), (Ids{2, 6, 3}));
}

TEST(OlderFiles, AVocabularyWithCapitalsKeepsThem) {
  const Folder folder;
  const Tokenizer t = Tokenizer::load(folder.write("vocab.txt", kWords + "C\n\u00e1\n"));
  EXPECT_EQ(ids(t, "C c \u00e1"), (Ids{2, 7, 6, 8, 3}));
}

TEST(OlderFiles, DamageIsNamedWithItsLine) {
  const Folder folder;
  const auto why = [](const std::string& place) {
    const std::string message = refusal(ErrorCode::kInvalidPackage, [&] { Tokenizer::load(place); });
    return message.substr(std::min(message.size(), message.find_last_of('/') + 1));
  };
  EXPECT_EQ(why(folder.write("vocab.txt", kWords + "a\n")), "vocab.txt: line 8: the token \"a\" is there twice");
  EXPECT_EQ(why(folder.write("vocab.txt", "[UNK]\na\n")), "vocab.txt: the token [CLS] is missing");
  EXPECT_EQ(why(folder.write("vocab.txt", "a\xFF\n")), "vocab.txt: not UTF-8 at byte 1");
  folder.write("vocab.json", R"({"a":0})");
  folder.write("merges.txt", "a\n");
  EXPECT_EQ(why(folder.path()), "merges.txt: line 1 is \"a\"; two tokens are needed");
  folder.write("merges.txt", "a \xFF\n");
  EXPECT_EQ(why(folder.path()), "merges.txt: not UTF-8 at byte 2");
  folder.write("vocab.json", "[]");
  EXPECT_EQ(why(folder.path()), "vocab.json: not an object of tokens and their ids");
}

TEST(OlderFiles, AFolderWithoutATokenizerIsNotOne) {
  const Folder folder;
  EXPECT_THAT(refusal(ErrorCode::kNotFound, [&] { Tokenizer::load(folder.path()); }), HasSubstr("holds no tokenizer.json, tokenizer.model, vocab.json with merges.txt, or vocab.txt"));
  folder.write("vocab.txt", kWords);
  folder.write("tokenizer.json", R"({"model":{"type":"WordLevel","vocab":{"a":7}}})");
  EXPECT_EQ(ids(Tokenizer::load(folder.path()), "a"), (Ids{7}));
}

}  // namespace
}  // namespace portfire::text
