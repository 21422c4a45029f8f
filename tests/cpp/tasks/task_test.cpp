#include "tasks/task.h"

#include "../archive/expect_error.h"
#include "fake_engine.h"

namespace portfire {
namespace {

using test::expect_error;
using test::grey_png;

TEST(MakeTask, TakesTensorsWithoutAManifest) { EXPECT_FALSE(make_task(std::nullopt, test::no_assets, 0)->staged()); }

TEST(MakeTask, FollowsTheManifest) {
  Manifest manifest = test::classifier_manifest({"a"}, 1);
  EXPECT_TRUE(make_task(manifest, test::no_assets, 0)->staged());
  manifest.task = "tensor";
  EXPECT_FALSE(make_task(manifest, test::no_assets, 0)->staged());
}

TEST(MakeTask, RefusesATaskThatItDoesNotHave) {
  Manifest manifest = test::classifier_manifest({"a"}, 1);
  manifest.task = "dreams";
  expect_error([&] { (void)make_task(manifest, test::no_assets, 0); }, ErrorCode::kUnsupported,
               "greys: task \"dreams\"; this runtime has image-classification, text-classification, text-generation and tensor");
}

TEST(MakeTask, TightensThePixelLimitButNeverLoosensIt) {
  const Manifest manifest = test::classifier_manifest({"a"}, 1);  // 100 pixels
  const auto takes = [&](std::int64_t max_pixels, std::int64_t width) {
    try {
      (void)make_task(manifest, test::no_assets, max_pixels)->decode(Input::bytes(grey_png(0, width, 1)));
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(takes(0, 100));
  EXPECT_FALSE(takes(0, 101));
  EXPECT_TRUE(takes(10, 10));
  EXPECT_FALSE(takes(10, 11));
  EXPECT_FALSE(takes(1000, 101));
}

}  // namespace
}  // namespace portfire
