#include "serving/folder.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "../archive/expect_error.h"
#include "folders.h"

namespace portfire::serving {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::Folder;
using Names = std::vector<std::string>;

/// "name/version" of all that is found.
Names names_in(const std::string& root, const std::string& given = "") {
  Names names;
  for (const auto& [name, versions] : look_in(root, given)) {
    for (const auto& [number, version] : versions) names.push_back(name + "/" + std::to_string(number));
  }
  return names;
}

TEST(Folder, FindsVersionsOfModels) {
  const Folder folder;
  folder.write("a/1/model.pt", "x");
  folder.write("a/12/model.pt2", "x");
  folder.write("b-2.x_y/3/model.pt", "x");
  folder.write("b-2.x_y/3/model.pt2", "x");
  EXPECT_EQ(names_in(folder.text()), (Names{"a/1", "a/12", "b-2.x_y/3"}));
  EXPECT_EQ(names_in(folder.text() + "/"), names_in(folder.text()));
}

TEST(Folder, PassesOverWhatIsHalfMade) {
  const Folder folder;
  fs::create_directories(folder.path() / "empty");
  fs::create_directories(folder.path() / "no-file" / "1");
  fs::create_directories(folder.path() / "folder-for-file" / "1" / "model.pt");
  folder.write("half/1/model.pt.part", "x");
  folder.write("half/1/card.md", "x");
  folder.write("file-for-version/1", "x");
  folder.write("a-file", "x");
  folder.write("whole/1/model.pt", "x");
  fs::create_symlink("nowhere", folder.path() / "dangling");
  fs::create_symlink("nowhere", folder.path() / "whole" / "2");
  EXPECT_EQ(names_in(folder.text()), (Names{"whole/1"}));
}

TEST(Folder, PassesOverOtherNames) {
  const Folder folder;
  for (const std::string name : {".hidden", "_private", "-a", "with space", "caf\xc3\xa9", "a:b", "a%2f", "lost+found"}) folder.write(name + "/1/model.pt", "x");
  folder.write(std::string(129, 'a') + "/1/model.pt", "x");
  for (const std::string version : {"0", "-1", "01x", "1.0", "v1", "latest", "99999999999999999999", " 1"}) folder.write("a/" + version + "/model.pt", "x");
  EXPECT_EQ(names_in(folder.text()), Names{});
  folder.write(std::string(128, 'a') + "/9223372036854775807/model.pt", "x");
  EXPECT_EQ(names_in(folder.text()), (Names{std::string(128, 'a') + "/9223372036854775807"}));
}

TEST(Folder, OneNumberWrittenInTwoWaysIsOneVersion) {
  const Folder folder;
  folder.write("a/1/model.pt", "x");
  folder.write("a/001/model.pt", "yy");
  EXPECT_EQ(names_in(folder.text()), (Names{"a/1"}));
  const std::string path = look_in(folder.text())["a"][1].path;
  for (int k = 0; k < 5; ++k) EXPECT_EQ(look_in(folder.text())["a"][1].path, path);
  EXPECT_EQ(fs::path(path).filename(), "1");  // whatever the order in which the folder lists them
}

TEST(Folder, PassesOverLinksThatLeadOut) {
  const Folder outside;
  outside.write("secret/1/model.pt", "x");
  const Folder folder;
  folder.write("a/1/model.pt", "x");
  fs::create_symlink(outside.path() / "secret", folder.path() / "b");
  fs::create_symlink(outside.path() / "secret" / "1", folder.path() / "a" / "2");
  fs::create_directories(folder.path() / "c" / "1");
  fs::create_symlink(outside.path() / "secret" / "1" / "model.pt", folder.path() / "c" / "1" / "model.pt");
  EXPECT_EQ(names_in(folder.text()), (Names{"a/1"}));
}

TEST(Folder, ALinkToAFolderOfALikeNameLeadsOut) {
  const Folder around;
  around.write("models/a/1/model.pt", "x");
  around.write("models-of-others/b/1/model.pt", "x");
  fs::create_symlink(around.path() / "models-of-others" / "b", around.path() / "models" / "b");
  EXPECT_EQ(names_in((around.path() / "models").string()), (Names{"a/1"}));
}

TEST(Folder, FollowsLinksThatStayIn) {
  const Folder folder;
  folder.write("a/1/model.pt", "x");
  fs::create_symlink("a", folder.path() / "alias");
  fs::create_symlink("1", folder.path() / "a" / "2");
  folder.write("store/blob", "x");
  fs::create_directories(folder.path() / "c" / "1");
  fs::create_symlink("../../store/blob", folder.path() / "c" / "1" / "model.pt");
  EXPECT_EQ(names_in(folder.text()), (Names{"a/1", "a/2", "alias/1", "alias/2", "c/1"}));
}

TEST(Folder, TheFolderItselfMayBeALink) {
  const Folder folder;
  folder.write("models/a/1/model.pt", "x");
  fs::create_symlink(folder.path() / "models", folder.path() / "link");
  EXPECT_EQ(names_in((folder.path() / "link").string()), (Names{"a/1"}));
}

TEST(Folder, TakesOneModelOneVersionOrOneFile) {
  const Folder folder;
  folder.write("a/1/model.pt", "x");
  folder.write("a/2/model.pt2", "x");
  folder.write("traced.pt", "x");
  EXPECT_EQ(names_in((folder.path() / "a").string()), (Names{"a/1", "a/2"}));
  EXPECT_EQ(names_in((folder.path() / "a" / "2").string()), (Names{"a/2"}));
  EXPECT_EQ(names_in((folder.path() / "a" / "2" / "model.pt2").string()), (Names{"a/2"}));
  EXPECT_EQ(names_in((folder.path() / "traced.pt").string()), (Names{"traced/1"}));
}

TEST(Folder, CallsTheOneModelAsItIsTold) {
  const Folder folder;
  folder.write("models/a/1/model.pt", "x");
  folder.write("models/a/2/model.pt2", "x");
  folder.write("plain folder/model.pt2", "x");
  folder.write("a file.pt", "x");
  const auto named = [&](const fs::path& path) { return names_in((folder.path() / path).string(), "n"); };
  EXPECT_EQ(named("models/a"), (Names{"n/1", "n/2"}));
  EXPECT_EQ(named("models/a/2"), (Names{"n/2"}));
  EXPECT_EQ(named("models/a/2/model.pt2"), (Names{"n/2"}));
  EXPECT_EQ(named("plain folder"), (Names{"n/1"}));
  EXPECT_EQ(named("a file.pt"), (Names{"n/1"}));
  EXPECT_EQ(named("models"), (Names{"a/1", "a/2"}));  // models in folders of their own keep their names
  expect_error([&] { (void)look_in((folder.path() / "plain folder").string(), "a/b"); }, ErrorCode::kInvalidArgument, "no name that a model can have");
}

TEST(Folder, RefusesWhatIsNotThereOrHasNoName) {
  const Folder folder;
  expect_error([&] { (void)look_in((folder.path() / "nothing").string()); }, ErrorCode::kNotFound, "nothing");
  folder.write("with space/1/model.pt", "x");
  expect_error([&] { (void)look_in((folder.path() / "with space").string()); }, ErrorCode::kInvalidArgument, "no name that a model can have");
  EXPECT_EQ(names_in(folder.text()), Names{});
}

TEST(Folder, AStampChangesWithTheFiles) {
  const Folder folder;
  folder.write("a/1/model.pt", "x");
  const auto stamp = [&] { return look_in(folder.text())["a"][1].stamp; };
  const Stamp first = stamp();
  EXPECT_EQ(stamp(), first);
  folder.write("a/1/card.md", "about");  // no program: nothing to load anew
  EXPECT_EQ(stamp(), first);
  folder.write("a/1/model.pt", "y");
  const Stamp second = stamp();
  EXPECT_NE(second, first);
  folder.write("a/1/model.pt.minisig", "signed");
  const Stamp third = stamp();
  EXPECT_NE(third, second);
  // Another content of the same size and time.
  struct stat before {};
  ASSERT_EQ(::stat((folder.path() / "a/1/model.pt").c_str(), &before), 0);
  std::ofstream(folder.path() / "a/1/model.pt") << "z";
  const timespec times[2]{before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (folder.path() / "a/1/model.pt").c_str(), times, 0), 0);
  EXPECT_NE(stamp(), third);
}

TEST(Folder, KnowsModelNames) {
  for (const char* name : {"a", "9", "a.b-c_d", "Resnet50"}) EXPECT_TRUE(is_model_name(name)) << name;
  for (const char* name : {"", ".", "..", ".a", "a/b", "a\\b", "a b", "a\n", "-a", "\xff", "a%41"}) EXPECT_FALSE(is_model_name(name)) << name;
  EXPECT_FALSE(is_model_name(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace portfire::serving
