# portfire_layer(<name> SOURCES … [DEPENDS …] [LIBRARIES …])
#
# One OBJECT library for each layer, `portfire_<name>`. DEPENDS names the layers below it: their headers
# are all that it sees of them. LIBRARIES are private to the layer.
add_library(portfire_options INTERFACE)
target_compile_features(portfire_options INTERFACE cxx_std_20)
target_include_directories(portfire_options INTERFACE "${PROJECT_SOURCE_DIR}/cpp" "${PROJECT_SOURCE_DIR}/cpp/include")
# ATen's headers then bring the operators that a file names, not all of them: two thirds of the time to compile.
target_compile_definitions(portfire_options INTERFACE AT_PER_OPERATOR_HEADERS)
if(PORTFIRE_DEVELOPER)
  target_compile_options(portfire_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror)
endif()
if(PORTFIRE_SANITIZE)
  add_compile_options(-fsanitize=${PORTFIRE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-maybe-uninitialized) # GCC warns of what its own instrumentation hides from it
  endif()
  add_link_options(-fsanitize=${PORTFIRE_SANITIZE})
endif()

find_program(PORTFIRE_CCACHE ccache)
if(PORTFIRE_CCACHE AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PORTFIRE_CCACHE}")
endif()

function(portfire_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(portfire_${name} OBJECT ${arg_SOURCES})
  target_link_libraries(portfire_${name} PRIVATE portfire_options ${arg_LIBRARIES})
  set_target_properties(portfire_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    CXX_EXTENSIONS OFF)
  set_property(GLOBAL APPEND PROPERTY PORTFIRE_LAYERS portfire_${name})
  set_property(GLOBAL APPEND PROPERTY PORTFIRE_LIBRARIES ${arg_LIBRARIES})
endfunction()
