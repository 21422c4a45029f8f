# Installing: the program, the library, its headers, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)
option(PORTFIRE_RELOCATABLE "Look for LibTorch beside the installed library only, as release archives have it" OFF)

set(torch_rpath "${PORTFIRE_TORCH_LIBDIR}")
if(PORTFIRE_RELOCATABLE)
  set(torch_rpath "")
endif()
set_target_properties(portfire PROPERTIES INSTALL_RPATH "$ORIGIN;${torch_rpath}")

install(TARGETS portfire EXPORT portfireTargets COMPONENT library
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS portfire_torch EXPORT portfireTorchTargets COMPONENT library
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/portfire")
install(EXPORT portfireTargets NAMESPACE portfire:: DESTINATION "${package_dir}" COMPONENT library)
install(EXPORT portfireTorchTargets NAMESPACE portfire:: DESTINATION "${package_dir}" COMPONENT library)
configure_package_config_file(cpp/cmake/portfireConfig.cmake.in "${PROJECT_BINARY_DIR}/portfireConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/portfireConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/portfireConfig.cmake" "${PROJECT_BINARY_DIR}/portfireConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT library)

if(BUILD_SHARED_LIBS)
  set(pc_requires_private "")
  set(pc_libs_private "")
else()
  set(pc_requires_private "libzip zlib libpng libjpeg libexif libcrypto libpcre2-8 libutf8proc")
  set(pc_libs_private "-L${PORTFIRE_TORCH_LIBDIR} -Wl,-rpath,${PORTFIRE_TORCH_LIBDIR} -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -lsentencepiece")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    string(APPEND pc_libs_private " -lgomp")
  endif()
endif()
configure_file(cpp/cmake/portfire.pc.in "${PROJECT_BINARY_DIR}/portfire.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/portfire.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT library)

if(PORTFIRE_BUILD_APP AND NOT SKBUILD)
  set_target_properties(portfire_app PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${torch_rpath}")
  install(TARGETS portfire_app RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program)
  install(FILES "${PROJECT_BINARY_DIR}/completion.bash" RENAME portfire COMPONENT program
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(FILES "${PROJECT_BINARY_DIR}/completion.zsh" RENAME portfire.zsh COMPONENT program
    DESTINATION "${CMAKE_INSTALL_DATADIR}/portfire")
endif()
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT library)
