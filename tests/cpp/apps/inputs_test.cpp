#include "apps/inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace portfire::apps {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class ExpandInputs : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "portfire-inputs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name : {"b.png", "a.png", "notes.txt", ".hidden.png", "deep/er/c.png", ".git/d.png", "[x].png"}) {
      fs::create_directories((folder_ / name).parent_path());
      std::ofstream(folder_ / name) << name;
    }
    fs::create_directory(folder_ / "empty");
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string at(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

TEST_F(ExpandInputs, AFileIsItself) { EXPECT_THAT(expand_inputs({at("b.png"), at("a.png")}), ElementsAre(at("b.png"), at("a.png"))); }

TEST_F(ExpandInputs, AFolderIsAllFilesBeneathItSortedWithoutHiddenOnes) {
  EXPECT_THAT(expand_inputs({folder_.string()}), ElementsAre(at("[x].png"), at("a.png"), at("b.png"), at("deep/er/c.png"), at("notes.txt")));
}

TEST_F(ExpandInputs, AnEmptyFolderIsNothing) { EXPECT_THAT(expand_inputs({at("empty")}), IsEmpty()); }

TEST_F(ExpandInputs, APatternIsWhatItMatches) {
  EXPECT_THAT(expand_inputs({at("*.png")}), ElementsAre(at("[x].png"), at("a.png"), at("b.png")));
  EXPECT_THAT(expand_inputs({at("?.png")}), ElementsAre(at("a.png"), at("b.png")));
}

TEST_F(ExpandInputs, AFileWhoseNameLooksLikeAPatternIsItself) { EXPECT_THAT(expand_inputs({at("[x].png")}), ElementsAre(at("[x].png"))); }

TEST_F(ExpandInputs, StandardInputIsItself) { EXPECT_THAT(expand_inputs({"-", at("a.png"), "-"}), ElementsAre("-", at("a.png"), "-")); }

TEST_F(ExpandInputs, WhatIsNotThereStays) {
  EXPECT_THAT(expand_inputs({at("none.png"), at("*.gif")}), ElementsAre(at("none.png"), at("*.gif")));
}

TEST_F(ExpandInputs, NothingIsNothing) { EXPECT_THAT(expand_inputs({}), IsEmpty()); }

}  // namespace
}  // namespace portfire::apps
