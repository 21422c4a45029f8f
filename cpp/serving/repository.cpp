#include "serving/repository.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "core/thread_limit.h"

namespace portfire::serving {

std::string_view name_of(VersionState state) noexcept {
  switch (state) {
    case VersionState::kLoading: return "LOADING";
    case VersionState::kReady: return "READY";
    default: return "UNAVAILABLE";
  }
}

/// Versions whose last holder has let go of them.
struct Repository::Retired {
  std::mutex mutex;
  std::condition_variable more;
  std::vector<std::unique_ptr<const Served>> versions;
  bool stopping = false;
};

Repository::Repository(RepositoryOptions options, Loader loader, Crew& crew)
    : options_(std::move(options)), loader_(std::move(loader)), crew_(crew), retired_(std::make_shared<Retired>()), reaper_([this] { reap(); }) {}

Repository::~Repository() {
  models_.clear();
  {
    const std::lock_guard lock(retired_->mutex);
    retired_->stopping = true;
  }
  retired_->more.notify_one();
  reaper_.join();
}

void Repository::reap() {
  std::unique_lock lock(retired_->mutex);
  while (true) {
    retired_->more.wait(lock, [&] { return retired_->stopping || !retired_->versions.empty(); });
    std::vector<std::unique_ptr<const Served>> ending = std::exchange(retired_->versions, {});
    if (ending.empty()) return;
    lock.unlock();
    for (std::unique_ptr<const Served>& one : ending) {
      const VersionStatus status{one->name(), one->version(), VersionState::kUnloaded, ""};
      one.reset();
      if (options_.log) options_.log(status, "freed");
    }
    lock.lock();
  }
}

std::shared_ptr<const Served> Repository::held(std::unique_ptr<const Served> served) {
  return {served.release(), [retired = retired_](const Served* last) {
            const std::lock_guard lock(retired->mutex);
            retired->versions.emplace_back(last);
            retired->more.notify_one();
          }};
}

std::shared_ptr<const Served> Repository::find(std::string_view name, std::int64_t version) const {
  const std::lock_guard lock(mutex_);
  const auto model = models_.find(name);
  if (model == models_.end()) throw Error(ErrorCode::kNotFound, cat("there is no model ", quoted(name)));
  const std::map<std::int64_t, Version>& versions = model->second.versions;
  if (version != 0) {
    const auto found = versions.find(version);
    if (found == versions.end()) throw Error(ErrorCode::kNotFound, cat("the model ", name, " has no version ", version));
    if (found->second.served != nullptr) return found->second.served;
    const VersionStatus& status = found->second.status;
    throw Error(ErrorCode::kUnavailable, cat("version ", version, " of the model ", name, " is not ready: ", status.reason.empty() ? "it is loading" : status.reason));
  }
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    if (at->second.served != nullptr) return at->second.served;
  }
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    if (!at->second.status.reason.empty()) throw Error(ErrorCode::kUnavailable, cat("the model ", name, " is not ready: ", at->second.status.reason));
  }
  throw Error(ErrorCode::kUnavailable, cat("the model ", name, " is not ready: it is loading"));
}

std::vector<std::shared_ptr<const Served>> Repository::served() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Served>> all;
  for (const auto& [name, model] : models_) {
    for (const auto& [number, version] : model.versions) {
      if (version.served != nullptr) all.push_back(version.served);
    }
  }
  return all;
}

std::vector<VersionStatus> Repository::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<VersionStatus> all;
  for (const auto& [name, model] : models_) {
    for (const auto& [number, version] : model.versions) all.push_back(version.status);
  }
  return all;
}

bool Repository::settled() const {
  const std::lock_guard lock(mutex_);
  return settled_;
}

void Repository::set_status(const std::string& name, std::int64_t version, VersionState state, const std::string& reason, const std::string& event) {
  VersionStatus status{name, version, state, reason};
  {
    const std::lock_guard lock(mutex_);
    models_[name].versions[version].status = status;
  }
  if (options_.log) options_.log(status, event);
}

bool Repository::refresh(bool at_once) {
  const std::lock_guard one_look(refreshing_);
  const Found found = look_in(options_.folder, options_.name);
  std::set<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, model] : models_) names.insert(name);
    for (const auto& [name, versions] : found) {
      names.insert(name);
      for (const auto& [number, version] : versions) models_[name].versions.try_emplace(number, Version{.status = {name, number, VersionState::kUnloaded, ""}, .served = nullptr, .seen = {}, .tried = {}});
    }
  }
  bool left = false;
  for (const std::string& name : names) {
    const auto versions = found.find(name);
    left |= follow(name, versions == found.end() ? std::map<std::int64_t, FoundVersion>{} : versions->second, at_once);
  }
  const std::lock_guard lock(mutex_);
  settled_ = true;
  return left;
}

bool Repository::follow(const std::string& name, const std::map<std::int64_t, FoundVersion>& found, bool at_once) {
  const auto own_policy = options_.policies.find(name);
  const VersionPolicy policy = own_policy != options_.policies.end() ? own_policy->second : VersionPolicy{.latest = options_.latest};
  std::set<std::int64_t> known;
  bool unloaded = false;
  {
    const std::lock_guard lock(mutex_);
    unloaded = models_[name].unloaded;
    for (const auto& [number, version] : models_[name].versions) known.insert(number);
  }
  bool left = false;
  std::int64_t ready = 0;
  std::set<std::int64_t> kept;
  for (auto at = found.rbegin(); !unloaded && at != found.rend(); ++at) {
    const auto& [number, version] = *at;
    const bool wanted = policy.listed.empty() ? ready < policy.latest : policy.listed.contains(number);
    if (!wanted) continue;
    bool has_changed = false;
    bool is_settled = false;
    bool answers = false;
    {
      const std::lock_guard lock(mutex_);
      Version& own = models_[name].versions[number];
      has_changed = own.tried != version.stamp;
      is_settled = at_once || own.seen == version.stamp;
      own.seen = version.stamp;
      answers = own.served != nullptr;
    }
    kept.insert(number);
    if (has_changed && !is_settled) left = true;
    if (has_changed && is_settled) answers = replace(name, number, version);
    // A newer one that is not there yet keeps the older ones where they are.
    if (answers) ++ready;
  }
  for (const std::int64_t number : known) {
    if (kept.contains(number)) continue;
    // Whoever replaces a version may remove it before the next one is ready, or before anybody knows that that one is rubbish.
    if (ready == 0 && !found.empty() && !unloaded && has(name, number)) continue;
    const bool gone = !found.contains(number);
    drop(name, number, unloaded ? "unloaded" : gone ? "its files are gone" : "other versions are served");
    if (gone) {
      const std::lock_guard lock(mutex_);
      models_[name].versions.erase(number);
    }
  }
  const std::lock_guard lock(mutex_);
  if (found.empty() && models_[name].versions.empty()) models_.erase(name);
  return left;
}

bool Repository::replace(const std::string& name, std::int64_t version, const FoundVersion& found) {
  set_status(name, version, VersionState::kLoading, "", "loading");
  std::optional<Error> failure;
  std::unique_ptr<const Served> loaded;
  // On a thread that ends: OpenMP keeps a team for each thread that computes.
  std::thread([&] {
    const ThreadLimit limit(1);  // others are being served
    try {
      loaded = std::make_unique<const Served>(name, version, loader_(found.path), options_.serving, crew_);
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = Error(ErrorCode::kInternal, error.what());
    }
  }).join();
  std::shared_ptr<const Served> before;
  bool answers = false;
  {
    const std::lock_guard lock(mutex_);
    Version& own = models_[name].versions[version];
    own.tried = found.stamp;
    if (loaded != nullptr) before = std::exchange(own.served, held(std::move(loaded)));
    answers = own.served != nullptr;
  }
  if (failure) {
    // Clients read this: where the folder lies is not theirs to know.
    std::string reason = failure->what();
    for (std::size_t at = 0; (at = reason.find(found.path, at)) != std::string::npos;) reason.erase(at, found.path.size()).insert(at, cat(name, '/', version));
    set_status(name, version, answers ? VersionState::kReady : VersionState::kFailed,
               cat(reason, answers ? "; what was loaded before goes on" : ""), "failed");
  } else {
    set_status(name, version, VersionState::kReady, "", before != nullptr ? "replaced" : "ready");
  }
  return answers;
}

bool Repository::has(const std::string& name, std::int64_t version) const {
  const std::lock_guard lock(mutex_);
  const auto model = models_.find(name);
  if (model == models_.end()) return false;
  const auto found = model->second.versions.find(version);
  return found != model->second.versions.end() && found->second.served != nullptr;
}

void Repository::drop(const std::string& name, std::int64_t version, const std::string& why) {
  std::shared_ptr<const Served> before;
  {
    const std::lock_guard lock(mutex_);
    Version& own = models_[name].versions[version];
    before = std::exchange(own.served, nullptr);
    own.tried.clear();
    own.seen.clear();
    own.status = {name, version, VersionState::kUnloaded, why};
  }
  if (before != nullptr && options_.log) options_.log({name, version, VersionState::kUnloaded, why}, "unloaded");
}

void Repository::load(const std::string& name) {
  const std::lock_guard one_look(refreshing_);
  const Found found = look_in(options_.folder, options_.name);
  const auto versions = found.find(name);
  if (versions == found.end()) throw Error(ErrorCode::kNotFound, cat("there is no model ", quoted(name)));
  {
    const std::lock_guard lock(mutex_);
    models_[name].unloaded = false;
    for (auto& [number, version] : models_[name].versions) {
      if (version.served == nullptr) version.tried.clear();
    }
  }
  (void)follow(name, versions->second, true);
  (void)find(name);
  for (const VersionStatus& one : list()) {  // an older state may answer in place of one that failed
    if (one.name == name && one.state == VersionState::kReady && !one.reason.empty()) {
      throw Error(ErrorCode::kUnavailable, cat("version ", one.version, " of the model ", name, ": ", one.reason));
    }
  }
}

void Repository::unload(const std::string& name) {
  const std::lock_guard one_look(refreshing_);
  Found found = look_in(options_.folder, options_.name);
  {
    const std::lock_guard lock(mutex_);
    const auto model = models_.find(name);
    if (model == models_.end()) throw Error(ErrorCode::kNotFound, cat("there is no model ", quoted(name)));
    model->second.unloaded = true;
  }
  (void)follow(name, found[name], true);
}

}  // namespace portfire::serving
