#pragma once

#include <span>
#include <string_view>

namespace portfire::page {

struct File {
  std::string_view name;  ///< "page.js"
  std::string_view content;
};

/// The files beside this header that cpp/transport/CMakeLists.txt names, as cpp/cmake/EmbedFiles.cmake wrote them.
std::span<const File> files() noexcept;

}  // namespace portfire::page
