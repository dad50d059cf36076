# Run by ctest: install, then find_package, then pkg-config; each program must print the version.
set(prefix ${WORK}/prefix)
file(REMOVE_RECURSE ${prefix} ${WORK}/by-cmake ${WORK}/moved)

function(run)  # stops at the first command that fails, with its output
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nended with ${status}:\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

function(expect_version how)
  if(NOT output MATCHES "pumice ${VERSION}: there-is-no-such-file.gguf")
    message(FATAL_ERROR "${how}: the program printed:\n${output}")
  endif()
  message(STATUS "${how}: ${output}")
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
file(RENAME ${prefix} ${WORK}/moved)  # nothing may depend on the place of installation
set(prefix ${WORK}/moved)

run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/by-cmake -G Ninja -D CMAKE_PREFIX_PATH=${prefix}
    -D CMAKE_C_COMPILER=${CC})
run(${CMAKE_COMMAND} --build ${WORK}/by-cmake)
run(${WORK}/by-cmake/consumer)
expect_version("find_package")

set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
run(pkg-config --cflags --libs pumice)
separate_arguments(flags UNIX_COMMAND "${output}")
run(${CC} -std=c99 -Wall -Wextra -Wpedantic -Werror ${SOURCE}/consumer.c -o ${WORK}/by-pkg-config
    ${flags} -Wl,-rpath,${prefix}/${LIBDIR})
run(${WORK}/by-pkg-config)
expect_version("pkg-config")

run(${prefix}/bin/pumice --version)
if(NOT output MATCHES "${VERSION}")
  message(FATAL_ERROR "pumice --version printed: ${output}")
endif()

# nothing but the public interface is exported
find_program(nm nm REQUIRED)
run(${nm} -D --defined-only ${prefix}/${LIBDIR}/libpumice.so)
string(REGEX MATCHALL "[^\n]+" symbols "${output}")
foreach(line IN LISTS symbols)
  if(NOT line MATCHES " pm_")
    message(FATAL_ERROR "libpumice.so also exports: ${line}")
  endif()
endforeach()

# it has a name that a linker records, and a size that a game can ship
set(library ${prefix}/${LIBDIR}/libpumice.so)
string(REGEX MATCH "^[0-9]+[.][0-9]+" interface ${VERSION})
find_program(readelf readelf REQUIRED)
run(${readelf} -d ${library})
if(NOT output MATCHES "SONAME[^\n]*\\[libpumice[.]so[.]${interface}\\]")
  message(FATAL_ERROR "libpumice.so should be called libpumice.so.${interface}:\n${output}")
endif()
find_program(strip strip REQUIRED)
run(${strip} --strip-unneeded -o ${WORK}/stripped.so ${library})
file(SIZE ${WORK}/stripped.so bytes)
message(STATUS "libpumice.so without debug information: ${bytes} bytes")
if(bytes GREATER 15728640)
  message(FATAL_ERROR "libpumice.so has ${bytes} bytes; 15 MB is the most")
endif()
