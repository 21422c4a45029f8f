#pragma once

#include <optional>
#include <string>
#include <vector>

#include <portfire/tune.h>

namespace portfire {

/// What `tune` found for a package on this machine.
struct Profile {
  std::string made;  ///< "2026-11-21"
  std::vector<TuneRow> rows;
};

/// Where the profile of `files` (a version's) on `device` lies, whether or not it is there: a name made of the files'
/// contents, the processor, how many of them there are, the device and the versions of Portfire and LibTorch. Empty where there is no home.
std::string profile_path(const std::vector<std::string>& files, Device device);

/// Nothing where there is none, or none that can be read: a cache is no reason to fail.
std::optional<Profile> read_profile(const std::string& path);

/// Throws kIo.
void write_profile(const std::string& path, const Profile& profile);

/// The fastest row at the first batch that was measured, among those that `options` leave open, with their number of
/// threads if one was measured so; within 3 % the one of fewer threads. -1 where there is none.
int fastest(const std::vector<TuneRow>& rows, const LoadOptions& options);

/// `options` with the choices that they leave open made by the profile; nothing where it has none to offer.
std::optional<LoadOptions> tuned(const std::vector<std::string>& files, const LoadOptions& options, std::string& choice);

}  // namespace portfire
