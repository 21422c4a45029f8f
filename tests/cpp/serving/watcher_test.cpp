#include "serving/watcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "doubler.h"
#include "folders.h"

namespace portfire::serving {
namespace {

namespace fs = std::filesystem;
using test::Doubler;
using test::Folder;
using namespace std::chrono_literals;

/// A watched folder; counts what is loaded.
struct Watched {
  explicit Watched(Folder& in) : folder(in) {}

  [[nodiscard]] bool has(const std::string& name, std::int64_t version = 0) const {
    try {
      (void)repository.find(name, version);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  Folder& folder;
  Crew crew{1};
  std::atomic<int> loads = 0;
  std::atomic<int> halves = 0;
  Repository repository{{.folder = folder.text()},
                        [this](const std::string& path) {
                          ++loads;
                          std::ifstream file(path + "/model.pt");
                          const std::string text{std::istreambuf_iterator<char>(file), {}};
                          if (!text.ends_with('.')) ++halves;
                          return Doubler::loaded(std::make_shared<Doubler>());
                        },
                        crew};
};

/// Waits for what must come; a test that waits in vain ends with the test program's own time.
template <typename Holds>
void wait_until(Holds holds) {
  while (!holds()) std::this_thread::sleep_for(2ms);
}

const std::function<void(const std::string&)> kQuiet = [](const std::string&) {};

/// Nothing is found for its being looked for in this time.
constexpr std::chrono::seconds kNever{3600};

TEST(Watcher, LoadsAtOnceWhatIsThere) {
  Folder folder;
  folder.write("a/1/model.pt", "whole.");
  Watched watched(folder);
  Watcher watcher(watched.repository, {.folder = folder.text(), .debounce = 1h, .look_every = kNever}, kQuiet);
  wait_until([&] { return watched.has("a"); });
  EXPECT_TRUE(watched.repository.settled() || watched.loads == 1);
}

TEST(Watcher, FollowsWhatComesChangesAndGoes) {
  Folder folder;
  Watched watched(folder);
  Watcher watcher(watched.repository, {.folder = folder.text(), .debounce = 20ms, .look_every = kNever}, kQuiet);
  wait_until([&] { return watched.repository.settled(); });
  folder.write("a/1/model.pt", "whole.");
  wait_until([&] { return watched.has("a"); });
  folder.write("a/1/model.pt", "another.");
  wait_until([&] { return watched.loads == 2; });
  folder.write("a/2/model.pt", "whole.");
  wait_until([&] { return watched.has("a", 2); });
  folder.remove("a");
  wait_until([&] { return !watched.has("a"); });
  EXPECT_EQ(watched.halves, 0);
}

TEST(Watcher, LooksNowAndThenWhereNothingIsReported) {
  Folder folder;
  Watched watched(folder);
  Folder elsewhere;  // what the watcher watches is not where the models come
  Watcher watcher(watched.repository, {.folder = elsewhere.text(), .debounce = 10ms, .look_every = 1s}, kQuiet);
  wait_until([&] { return watched.repository.settled(); });
  folder.write("a/1/model.pt", "whole.");
  wait_until([&] { return watched.has("a"); });
}

TEST(Watcher, DoesNotLoadWhatIsBeingWritten) {
  Folder folder;
  Watched watched(folder);
  Watcher watcher(watched.repository, {.folder = folder.text(), .debounce = 500ms, .look_every = kNever}, kQuiet);
  wait_until([&] { return watched.repository.settled(); });
  fs::create_directories(folder.path() / "a/1");
  {
    std::ofstream file(folder.path() / "a/1/model.pt");
    for (int k = 0; k < 60; ++k) {
      file << "part " << std::flush;
      // Others' changes make the watcher look, and look again at once.
      folder.write("b/1/note" + std::to_string(k), "x");
      folder.write("b/1/other" + std::to_string(k), "x");
      std::this_thread::sleep_for(10ms);
    }
    file << "whole.";
  }
  wait_until([&] { return watched.has("a"); });
  EXPECT_EQ(watched.halves, 0);
  EXPECT_EQ(watched.loads, 1);
}

TEST(Watcher, FollowsAFolderThatWentAndCameBack) {
  Folder folder;
  folder.write("models/a/1/model.pt", "whole.");
  Watched watched(folder);
  const std::string path = (folder.path() / "models").string();
  std::mutex mutex;
  std::vector<std::string> told;
  Repository repository({.folder = path}, [&](const std::string&) { return Doubler::loaded(std::make_shared<Doubler>()); }, watched.crew);
  Watcher watcher(repository, {.folder = path, .debounce = 20ms, .look_every = kNever}, [&](const std::string& failure) {
    const std::lock_guard lock(mutex);
    told.push_back(failure);
  });
  wait_until([&] { return repository.settled(); });
  folder.remove("models");
  wait_until([&] {
    const std::lock_guard lock(mutex);
    return !told.empty();
  });
  folder.write("models/b/1/model.pt", "whole.");
  wait_until([&] {
    const auto list = repository.list();
    return list.size() == 1 && list[0].name == "b" && list[0].state == VersionState::kReady;
  });
}

TEST(Watcher, DoesWhatIsPostedInItsOrder) {
  Folder folder;
  Watched watched(folder);
  std::promise<std::string> done;
  std::string order;
  Watcher watcher(watched.repository, {.folder = folder.text(), .watches = false}, kQuiet);
  for (const char name : {'a', 'b', 'c'}) watcher.post([&order, name] { order += name; });
  watcher.post([&] { done.set_value(order); });
  EXPECT_EQ(done.get_future().get(), "abc");
}

TEST(Watcher, WithoutWatchingItLoadsAtTheStartAlone) {
  Folder folder;
  folder.write("a/1/model.pt", "whole.");
  Watched watched(folder);
  Watcher watcher(watched.repository, {.folder = folder.text(), .watches = false, .debounce = 1ms, .look_every = 1s}, kQuiet);
  wait_until([&] { return watched.has("a"); });
  folder.write("b/1/model.pt", "whole.");
  std::promise<void> done;
  watcher.post([&] { done.set_value(); });
  done.get_future().wait();
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(watched.has("b"));
}

TEST(Watcher, EndsWhileItWaitsAndWhileItIsBusy) {
  Folder folder;
  for (int k = 0; k < 20; ++k) {
    Watched watched(folder);
    Watcher watcher(watched.repository, {.folder = folder.text(), .look_every = kNever}, kQuiet);
    if (k % 2 == 0) watcher.post([] { std::this_thread::sleep_for(1ms); });
  }
}

}  // namespace
}  // namespace portfire::serving
