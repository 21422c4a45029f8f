# Every library that Portfire stands on is found here; docs/dependencies.md says what each is for.

# Torch is the one in the Python environment unless Torch_DIR or CMAKE_PREFIX_PATH says otherwise.
if(NOT Torch_DIR AND NOT Torch_ROOT)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python" AND NOT SKBUILD)
    set(_portfire_python "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  else()
    set(_portfire_python "${Python3_EXECUTABLE}")
  endif()
  # -I looks past the overlay in which pip builds a wheel, into the environment that it is for.
  execute_process(
    COMMAND "${_portfire_python}" -I -c
            "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0], end='')"
    OUTPUT_VARIABLE _portfire_torch ERROR_QUIET)
  if(_portfire_torch)
    set(Torch_DIR "${_portfire_torch}/share/cmake/Torch" CACHE PATH "Where TorchConfig.cmake lies")
  endif()
endif()


find_package(Torch REQUIRED)
set(PORTFIRE_TORCH_VERSION "${Torch_VERSION}")
get_target_property(PORTFIRE_TORCH_LIBRARY torch LOCATION)
get_filename_component(PORTFIRE_TORCH_LIBDIR "${PORTFIRE_TORCH_LIBRARY}" DIRECTORY)

find_package(PkgConfig REQUIRED)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip>=1.7)
pkg_check_modules(libexif REQUIRED IMPORTED_TARGET libexif)
pkg_check_modules(libpcre2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.40)
pkg_check_modules(libutf8proc REQUIRED IMPORTED_TARGET libutf8proc)
# Its pkg-config file would link the trainer too.
find_library(SENTENCEPIECE_LIBRARY sentencepiece REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(nlohmann_json 3.11 REQUIRED)
find_path(DLPACK_INCLUDE_DIR dlpack/dlpack.h REQUIRED)
if(PORTFIRE_BUILD_APP)
  find_package(CLI11 REQUIRED)
  find_package(Boost 1.74 REQUIRED)
  find_package(simdjson REQUIRED)
endif()
if(PORTFIRE_BUILD_APP AND PORTFIRE_BUILD_GRPC)
  # As archives: cpp/transport/grpc/CMakeLists.txt says why.
  find_program(PORTFIRE_PROTOC protoc REQUIRED)
  pkg_check_modules(grpcpp REQUIRED grpc++>=1.51)
  set(PORTFIRE_GRPC_LIBRARIES "")
  foreach(name IN LISTS grpcpp_STATIC_LIBRARIES ITEMS protobuf)
    if(NOT name MATCHES "^(ssl|crypto|z|dl|pthread|atomic|rt|m)$")
      find_library(PORTFIRE_ARCHIVE_${name} "lib${name}.a" PATHS ${grpcpp_STATIC_LIBRARY_DIRS} REQUIRED)
      mark_as_advanced(PORTFIRE_ARCHIVE_${name})
      list(APPEND PORTFIRE_GRPC_LIBRARIES "${PORTFIRE_ARCHIVE_${name}}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES PORTFIRE_GRPC_LIBRARIES)
endif()
