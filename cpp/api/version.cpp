#include <portfire/model.h>

#include "archive/package.h"
#include "engine/torchscript/torchscript.h"

namespace portfire {

std::string_view version() noexcept { return PORTFIRE_VERSION; }

std::string_view torch_version() noexcept { return PORTFIRE_TORCH_VERSION; }

bool cuda_available() { return torchscript::cuda_available(); }

std::string resolve_package(const std::string& path) { return package_files(path).front(); }

}  // namespace portfire
