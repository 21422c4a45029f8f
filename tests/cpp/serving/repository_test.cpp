#include "serving/repository.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "../archive/expect_error.h"
#include "doubler.h"
#include "folders.h"

namespace portfire::serving {
namespace {

namespace fs = std::filesystem;
using test::Doubler;
using test::expect_error;
using test::Folder;
using Names = std::vector<std::string>;

/// A folder whose programs are texts: "scale 3" is a Doubler that triples; what begins with "bad" is no program.
class World {
 public:
  explicit World(RepositoryOptions options = {}) : repository(with(std::move(options)), [this](const std::string& path) { return open(path); }, crew) {}

  RepositoryOptions with(RepositoryOptions options) {
    options.folder = folder.text();
    options.log = [this](const VersionStatus& status, const std::string& event) {
      const std::lock_guard lock(mutex);
      events.push_back(status.name + "/" + std::to_string(status.version) + " " + event);
    };
    return options;
  }

  Loaded open(const std::string& path) {
    ++loads;
    std::ifstream file(fs::is_directory(path) ? path + "/model.pt" : path);
    std::string word;
    float scale = 0;
    file >> word >> scale;
    if (word == "bad") throw Error(ErrorCode::kInvalidPackage, path + ": no program");
    if (word == "odd") throw std::runtime_error("something else");
    auto model = std::shared_ptr<Doubler>(new Doubler(8, {}, scale), [this](Doubler* gone) {
      delete gone;
      ++ended;
    });
    return Doubler::loaded(std::move(model));
  }

  /// What the model makes of 1.
  float ask(const std::string& name, std::int64_t version = 0) const { return ask(*repository.find(name, version)); }
  static float ask(const Served& served) {
    auto job = std::make_shared<Job>();
    job->input = std::vector<NamedTensor>{{"x", test::row({1})}};
    std::promise<Result> done;
    job->done = [&done](Result result, const JobTimes&) { done.set_value(std::move(result)); };
    served.batcher().submit(job);
    const Result result = done.get_future().get();
    return std::get<std::vector<NamedTensor>>(result).at(0).tensor.values<float>()[0];
  }
  /// "name/version STATE" of all that is known.
  Names list() const {
    Names all;
    for (const VersionStatus& one : repository.list()) all.push_back(one.name + "/" + std::to_string(one.version) + " " + std::string(name_of(one.state)));
    return all;
  }
  std::string reason(const std::string& name, std::int64_t version) const {
    for (const VersionStatus& one : repository.list()) {
      if (one.name == name && one.version == version) return one.reason;
    }
    return "unknown";
  }
  void wait_for_ended(int count) const {
    while (ended < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  Folder folder;
  std::atomic<int> loads = 0;
  std::atomic<int> ended = 0;
  std::mutex mutex;
  Names events;
  Crew crew{2};
  Repository repository;
};

TEST(Repository, ServesWhatLiesThere) {
  World world;
  EXPECT_FALSE(world.repository.settled());
  world.folder.write("a/1/model.pt", "scale 2");
  world.folder.write("b/7/model.pt", "scale 3");
  EXPECT_FALSE(world.repository.refresh(true));
  EXPECT_TRUE(world.repository.settled());
  EXPECT_EQ(world.ask("a"), 2);
  EXPECT_EQ(world.ask("b"), 3);
  EXPECT_EQ(world.ask("b", 7), 3);
  EXPECT_EQ(world.list(), (Names{"a/1 READY", "b/7 READY"}));
  EXPECT_EQ(world.repository.served().size(), 2U);
  EXPECT_EQ(world.repository.find("b")->version(), 7);
  EXPECT_FALSE(world.repository.refresh(true));
  EXPECT_EQ(world.loads, 2);  // nothing has changed
}

TEST(Repository, SaysWhatIsNotThere) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  expect_error([&] { (void)world.repository.find("a"); }, ErrorCode::kNotFound, "\"a\"");
  world.repository.refresh(true);
  expect_error([&] { (void)world.repository.find("b"); }, ErrorCode::kNotFound, "\"b\"");
  expect_error([&] { (void)world.repository.find("a", 2); }, ErrorCode::kNotFound, "no version 2");
}

TEST(Repository, ReplacesAVersionWhileCallsHoldTheOldOne) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.repository.refresh(true);
  std::shared_ptr<const Served> old = world.repository.find("a");
  world.folder.write("a/1/model.pt", "scale 5");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 5);
  EXPECT_EQ(world.ended, 0);
  EXPECT_EQ(World::ask(*old), 2);
  old.reset();
  world.wait_for_ended(1);
  EXPECT_EQ(world.ask("a"), 5);
}

TEST(Repository, LeavesWhatHasJustChangedToTheNextLook) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  EXPECT_TRUE(world.repository.refresh(false));
  expect_error([&] { (void)world.repository.find("a"); }, ErrorCode::kUnavailable, "loading");
  world.folder.write("a/1/model.pt", "scale 3");  // somebody is still writing
  EXPECT_TRUE(world.repository.refresh(false));
  EXPECT_EQ(world.loads, 0);
  EXPECT_FALSE(world.repository.refresh(false));
  EXPECT_EQ(world.ask("a"), 3);
  world.folder.write("a/1/model.pt", "scale 4");
  EXPECT_TRUE(world.repository.refresh(false));
  EXPECT_EQ(world.ask("a"), 3);
  EXPECT_FALSE(world.repository.refresh(false));
  EXPECT_EQ(world.ask("a"), 4);
}

TEST(Repository, AFailureKeepsTheOldOne) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.repository.refresh(true);
  world.folder.write("a/1/model.pt", "bad");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 2);
  EXPECT_EQ(world.list(), (Names{"a/1 READY"}));
  EXPECT_THAT(world.reason("a", 1), testing::HasSubstr("no program; what was loaded before goes on"));
  world.repository.refresh(true);
  EXPECT_EQ(world.loads, 2);  // not tried again and again
  world.folder.write("a/1/model.pt", "scale 3");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 3);
  EXPECT_EQ(world.reason("a", 1), "");
}

TEST(Repository, SaysWhyAVersionIsNotReady) {
  World world;
  world.folder.write("a/1/model.pt", "bad");
  world.folder.write("b/1/model.pt", "odd");
  world.repository.refresh(true);
  EXPECT_TRUE(world.repository.settled());
  EXPECT_EQ(world.list(), (Names{"a/1 UNAVAILABLE", "b/1 UNAVAILABLE"}));
  expect_error([&] { (void)world.repository.find("a"); }, ErrorCode::kUnavailable, "no program");
  expect_error([&] { (void)world.repository.find("a", 1); }, ErrorCode::kUnavailable, "no program");
  expect_error([&] { (void)world.repository.find("b"); }, ErrorCode::kUnavailable, "something else");
}

TEST(Repository, ServesTheNewestThatIsReady) {
  World world;
  world.folder.write("a/1/model.pt", "scale 1");
  world.repository.refresh(true);
  world.folder.write("a/2/model.pt", "bad");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 1);  // the older one goes on
  world.folder.write("a/3/model.pt", "scale 3");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 3);
  world.wait_for_ended(1);
  EXPECT_EQ(world.list(), (Names{"a/1 UNAVAILABLE", "a/2 UNAVAILABLE", "a/3 READY"}));
  expect_error([&] { (void)world.repository.find("a", 1); }, ErrorCode::kUnavailable, "other versions are served");
  world.folder.remove("a/3");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 1);
}

TEST(Repository, ANewerOneIsReadyBeforeTheOlderIsDropped) {
  World world;
  world.folder.write("a/1/model.pt", "scale 1");
  world.repository.refresh(true);
  world.folder.write("a/2/model.pt", "scale 2");
  EXPECT_TRUE(world.repository.refresh(false));
  EXPECT_EQ(world.ask("a"), 1);
  EXPECT_FALSE(world.repository.refresh(false));
  EXPECT_EQ(world.ask("a"), 2);
  const std::lock_guard lock(world.mutex);
  EXPECT_EQ(world.events[2], "a/2 loading");
  EXPECT_EQ(world.events[3], "a/2 ready");
  EXPECT_EQ(world.events[4], "a/1 unloaded");
}

TEST(Repository, AnOlderOneIsReadyBeforeTheNewestIsDropped) {
  World world;
  world.folder.write("a/1/model.pt", "scale 1");
  world.folder.write("a/2/model.pt", "scale 2");
  world.repository.refresh(true);
  EXPECT_EQ(world.loads, 1);
  world.folder.remove("a/2");
  EXPECT_TRUE(world.repository.refresh(false));  // 1 is left to the next look
  EXPECT_EQ(world.ask("a"), 2);
  EXPECT_FALSE(world.repository.refresh(false));
  EXPECT_EQ(world.ask("a"), 1);
  world.wait_for_ended(1);
  EXPECT_EQ(world.list(), (Names{"a/1 READY"}));
}

TEST(Repository, ServesSoManyOfTheNewest) {
  World world({.folder = {}, .latest = 2});
  for (const char* version : {"1", "2", "10"}) world.folder.write(std::string("a/") + version + "/model.pt", std::string("scale ") + version);
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 10);
  EXPECT_EQ(world.ask("a", 2), 2);
  EXPECT_EQ(world.loads, 2);
  EXPECT_EQ(world.list(), (Names{"a/1 UNAVAILABLE", "a/2 READY", "a/10 READY"}));
}

TEST(Repository, ServesTheListedVersionsAlone) {
  World world({.folder = {}, .policies = {{"a", {.listed = {1, 3}}}}});
  for (const char* version : {"1", "2", "3", "4"}) world.folder.write(std::string("a/") + version + "/model.pt", std::string("scale ") + version);
  world.folder.write("b/1/model.pt", "scale 9");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 3);
  EXPECT_EQ(world.ask("a", 1), 1);
  EXPECT_EQ(world.ask("b"), 9);
  EXPECT_EQ(world.loads, 3);
}

TEST(Repository, ServesAsManyOfOneModelAsItsPolicySays) {
  World world({.folder = {}, .policies = {{"a", {.latest = 2}}, {"c", {.listed = {7}}}}});
  for (const char* version : {"1", "2", "3"}) {
    world.folder.write(std::string("a/") + version + "/model.pt", std::string("scale ") + version);
    world.folder.write(std::string("b/") + version + "/model.pt", std::string("scale ") + version);
  }
  world.folder.write("c/1/model.pt", "scale 1");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a", 2), 2);
  EXPECT_EQ(world.list(), (Names{"a/1 UNAVAILABLE", "a/2 READY", "a/3 READY", "b/1 UNAVAILABLE", "b/2 UNAVAILABLE", "b/3 READY", "c/1 UNAVAILABLE"}));
  world.folder.write("a/4/model.pt", "scale 4");
  world.folder.write("c/7/model.pt", "scale 7");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 4);
  EXPECT_EQ(world.ask("c"), 7);
  EXPECT_EQ(world.list(), (Names{"a/1 UNAVAILABLE", "a/2 UNAVAILABLE", "a/3 READY", "a/4 READY", "b/1 UNAVAILABLE", "b/2 UNAVAILABLE", "b/3 READY", "c/1 UNAVAILABLE", "c/7 READY"}));
}

TEST(Repository, TheOneModelHasTheNameItIsGiven) {
  World world({.folder = {}, .name = "mine"});
  world.folder.write("model.pt", "scale 5");
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("mine"), 5);
  world.repository.unload("mine");
  world.repository.load("mine");
  EXPECT_EQ(world.ask("mine", 1), 5);
  EXPECT_EQ(world.list(), (Names{"mine/1 READY"}));
}

TEST(Repository, DropsWhatIsGone) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.folder.write("b/1/model.pt", "scale 2");
  world.repository.refresh(true);
  const std::shared_ptr<const Served> held = world.repository.find("a");
  world.folder.remove("a");
  world.repository.refresh(true);
  expect_error([&] { (void)world.repository.find("a"); }, ErrorCode::kNotFound, "\"a\"");
  EXPECT_EQ(World::ask(*held), 2);
  EXPECT_EQ(world.list(), (Names{"b/1 READY"}));
}

TEST(Repository, KeepsAllWhereTheFolderIsGone) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.repository.refresh(true);
  const fs::path away = world.folder.path().string() + "-away";
  fs::rename(world.folder.path(), away);
  expect_error([&] { world.repository.refresh(true); }, ErrorCode::kNotFound, "cannot be read");
  EXPECT_EQ(world.ask("a"), 2);
  expect_error([&] { world.repository.unload("a"); }, ErrorCode::kNotFound, "cannot be read");
  fs::rename(away, world.folder.path());
  world.repository.refresh(true);
  EXPECT_EQ(world.ask("a"), 2);  // what could not be unloaded was not
  EXPECT_EQ(world.loads, 1);
}

TEST(Repository, UnloadsAndLoadsAgain) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.repository.refresh(true);
  world.repository.unload("a");
  world.wait_for_ended(1);
  expect_error([&] { (void)world.repository.find("a"); }, ErrorCode::kUnavailable, "unloaded");
  EXPECT_EQ(world.list(), (Names{"a/1 UNAVAILABLE"}));
  world.folder.write("a/2/model.pt", "scale 3");
  world.repository.refresh(true);
  expect_error([&] { (void)world.repository.find("a"); }, ErrorCode::kUnavailable, "unloaded");
  world.repository.load("a");
  EXPECT_EQ(world.ask("a"), 3);
  expect_error([&] { world.repository.unload("b"); }, ErrorCode::kNotFound, "\"b\"");
  expect_error([&] { world.repository.load("b"); }, ErrorCode::kNotFound, "\"b\"");
}

TEST(Repository, LoadsOnDemandWhatNobodyLookedAt) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.folder.write("b/1/model.pt", "scale 2");
  world.repository.load("a");
  EXPECT_EQ(world.ask("a"), 2);
  EXPECT_EQ(world.loads, 1);
}

TEST(Repository, ALoadThatFailsSaysWhy) {
  World world;
  world.folder.write("a/1/model.pt", "bad");
  world.repository.refresh(true);
  expect_error([&] { world.repository.load("a"); }, ErrorCode::kUnavailable, "no program");
  EXPECT_EQ(world.loads, 2);  // though nothing changed
  world.folder.write("a/1/model.pt", "scale 4");
  world.repository.load("a");
  EXPECT_EQ(world.ask("a"), 4);
  world.folder.write("a/1/model.pt", "bad");
  expect_error([&] { world.repository.load("a"); }, ErrorCode::kUnavailable, "no program");
  EXPECT_EQ(world.ask("a"), 4);
}

TEST(Repository, RefusesNamesThatAreNone) {
  World world;
  world.folder.write("a/1/model.pt", "scale 2");
  world.repository.refresh(true);
  for (const std::string& name : Names{"", ".", "..", "../a", "a/1", "a/../a", std::string("a\0", 2), std::string(100000, 'a')}) {
    expect_error([&] { (void)world.repository.find(name); }, ErrorCode::kNotFound, "no model");
    expect_error([&] { world.repository.load(name); }, ErrorCode::kNotFound, "no model");
    expect_error([&] { world.repository.unload(name); }, ErrorCode::kNotFound, "no model");
  }
  EXPECT_EQ(world.list(), (Names{"a/1 READY"}));
}

TEST(Repository, AnswersWhileModelsComeAndGo) {
  World world;
  world.folder.write("a/1/model.pt", "scale 1");
  world.repository.refresh(true);
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int k = 0; k < 3; ++k) {
    threads.emplace_back([&] {
      while (!stop) {
        try {
          const std::shared_ptr<const Served> served = world.repository.find("a");
          const float got = World::ask(*served);
          wrong += got < 1 || got > 40;
        } catch (const Error&) {
          ++wrong;
        }
      }
    });
  }
  for (int k = 2; k <= 40; ++k) {
    if (k % 3 == 0) {
      world.folder.write("a/2/model.pt", "bad");
    } else if (k % 3 == 1) {
      world.folder.remove("a/2");
    }
    world.folder.write("a/1/model.pt", "scale " + std::to_string(k));
    world.repository.refresh(true);
    EXPECT_EQ(world.ask("a"), static_cast<float>(k));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Repository, OneFileIsOneModel) {
  Folder folder;
  folder.write("traced.pt", "scale 3");
  World loader;
  Repository repository({.folder = folder.text() + "/traced.pt"}, [&](const std::string& path) { return loader.open(path); }, loader.crew);
  repository.refresh(true);
  EXPECT_EQ(World::ask(*repository.find("traced", 1)), 3);
}

}  // namespace
}  // namespace portfire::serving
