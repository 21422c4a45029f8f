#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "serving/crew.h"
#include "serving/folder.h"
#include "serving/loaded.h"
#include "serving/served.h"
#include "serving/version_policy.h"

namespace portfire::serving {

enum class VersionState : std::uint8_t {
  kLoading,
  kReady,
  kFailed,    ///< `reason` says why; an older state of the same version may go on answering
  kUnloaded,  ///< known and not asked for
};

/// "LOADING", "READY", "UNAVAILABLE", as the repository index of the Open Inference Protocol has them.
std::string_view name_of(VersionState state) noexcept;

struct VersionStatus {
  std::string name;
  std::int64_t version = 0;
  VersionState state = VersionState::kUnloaded;
  std::string reason;  ///< why it is not ready, one line
  bool operator==(const VersionStatus&) const = default;
};

struct RepositoryOptions {
  std::string folder;
  std::string name{};                                         ///< of the one model, where `folder` is that model's (see `look_in`)
  std::int64_t latest = 1;                                    ///< of each model the newest so many versions are served
  std::map<std::string, VersionPolicy, std::less<>> policies{};  ///< of models for which it is otherwise
  ServingOptions serving{};
  /// Told what happens, one line; on any thread. May be empty.
  std::function<void(const VersionStatus&, const std::string& event)> log{};
};

/// The models of a folder. `refresh` makes what is served follow what lies there; a version is opened, verified and warmed
/// beside the one that answers and then put in its place, and calls that have begun end on the old one. What cannot be
/// loaded stays out, and what it would have replaced goes on, also when its files are gone by then. Thread-safe.
class Repository {
 public:
  /// Refers to `crew`. Nothing is loaded yet.
  Repository(RepositoryOptions options, Loader loader, Crew& crew);
  ~Repository();
  Repository(const Repository&) = delete;
  Repository& operator=(const Repository&) = delete;

  /// The version asked for, or the newest that is ready where that is 0. Throws kNotFound, and kUnavailable where it is
  /// known but not ready.
  [[nodiscard]] std::shared_ptr<const Served> find(std::string_view name, std::int64_t version = 0) const;
  /// All that answer, by name and version.
  [[nodiscard]] std::vector<std::shared_ptr<const Served>> served() const;
  /// All that are known, by name and version.
  [[nodiscard]] std::vector<VersionStatus> list() const;
  /// True once every model has been looked at for the first time.
  [[nodiscard]] bool settled() const;

  /// Looks at the folder and loads, replaces and drops accordingly; one at a time. Files that have changed since the last
  /// look are left to the next one (somebody may be writing), unless `at_once`. Gives true where it left something. Throws what
  /// `look_in` throws, with all that is served left as it is.
  bool refresh(bool at_once);
  /// Loads what the folder has of a model, also where it failed before or was unloaded. Throws kNotFound, and why it failed.
  void load(const std::string& name);
  /// Lets go of a model until `load`. Throws kNotFound.
  void unload(const std::string& name);

 private:
  struct Version {
    VersionStatus status;
    std::shared_ptr<const Served> served;  ///< null while there is none
    Stamp seen;                            ///< at the last look
    Stamp tried;                           ///< of what was loaded or failed
  };
  struct Model {
    std::map<std::int64_t, Version> versions;
    bool unloaded = false;  ///< until `load`
  };

  /// Of one model; under `refreshing_`. Gives true where it left something to the next look.
  bool follow(const std::string& name, const std::map<std::int64_t, FoundVersion>& found, bool at_once);
  /// Opens `found` and puts it in place of what is there. Gives whether the version answers.
  bool replace(const std::string& name, std::int64_t version, const FoundVersion& found);
  /// True where the version answers.
  [[nodiscard]] bool has(const std::string& name, std::int64_t version) const;
  void drop(const std::string& name, std::int64_t version, const std::string& why);
  void set_status(const std::string& name, std::int64_t version, VersionState state, const std::string& reason, const std::string& event);
  std::shared_ptr<const Served> held(std::unique_ptr<const Served> served);
  void reap();

  const RepositoryOptions options_;
  const Loader loader_;
  Crew& crew_;
  std::mutex refreshing_;  ///< one look at a time; taken before `mutex_`
  mutable std::mutex mutex_;
  std::map<std::string, Model, std::less<>> models_;
  bool settled_ = false;

  struct Retired;
  std::shared_ptr<Retired> retired_;  ///< what nobody holds any more, for a thread that may wait
  std::thread reaper_;
};

}  // namespace portfire::serving
