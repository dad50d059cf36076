# pumice_stage(NAME LINK targets...): one folder of the pipeline as one static library.
# All .cpp files beside the CMakeLists.txt belong to it; the link line is the arrow.

set(PUMICE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                    -Wno-missing-field-initializers)
if(PUMICE_WERROR)
  list(APPEND PUMICE_WARNINGS -Werror)
endif()

function(pumice_warnings target)
  if(NOT MSVC)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${PUMICE_WARNINGS}>)
  endif()
endfunction()

function(pumice_stage name)
  cmake_parse_arguments(STAGE "" "" "LINK;PRIVATE_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(WIN32)
    list(FILTER sources EXCLUDE REGEX "_posix\\.cpp$")
  else()
    list(FILTER sources EXCLUDE REGEX "_windows\\.cpp$")
  endif()
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
  endif()
  add_library(pumice_${name} STATIC ${sources})
  target_include_directories(pumice_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(pumice_${name} PUBLIC ${STAGE_LINK} PRIVATE ${STAGE_PRIVATE_LINK})
  pumice_warnings(pumice_${name})
endfunction()
