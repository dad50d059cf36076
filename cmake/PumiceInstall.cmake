# The shared library behind engine/pumice.h, and what `cmake --install` puts where: the command,
# the library, its header, the built-in model, find_package(pumice) and pkg-config's pumice.pc.
include(CMakePackageConfigHelpers)

file(GLOB border CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/pumice*.cpp)
add_library(pumice_border OBJECT ${border})
target_include_directories(pumice_border PRIVATE ${PROJECT_SOURCE_DIR}/engine)
target_link_libraries(pumice_border PUBLIC pumice_session)
target_compile_definitions(pumice_border PRIVATE PUMICE_BUILDING
                                                 PUMICE_VERSION="${PROJECT_VERSION}")
set_target_properties(pumice_border PROPERTIES CXX_VISIBILITY_PRESET hidden
                                               VISIBILITY_INLINES_HIDDEN ON)
pumice_warnings(pumice_border)

add_library(pumice SHARED $<TARGET_OBJECTS:pumice_border>)
add_library(pumice::pumice ALIAS pumice)
target_include_directories(pumice PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/engine>
                                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(pumice PRIVATE pumice_session)
# While the version is 0.x, each minor version may break the interface.
set_target_properties(pumice PROPERTIES LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(UNIX AND NOT APPLE)  # the stages inside are static libraries with ordinary visibility
  set(map ${PROJECT_SOURCE_DIR}/cmake/pumice.map)
  target_link_options(pumice PRIVATE -Wl,--version-script=${map} -Wl,--no-undefined)
  set_target_properties(pumice PROPERTIES LINK_DEPENDS ${map})
endif()

install(TARGETS pumice_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS pumice EXPORT pumiceTargets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/engine/pumice.h ${PROJECT_SOURCE_DIR}/engine/pumice_vulkan.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(FILES ${PROJECT_SOURCE_DIR}/demo/model/pumice-mini.gguf
        DESTINATION ${CMAKE_INSTALL_DATADIR}/pumice OPTIONAL)  # a checkout may lack it

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pumice)
install(EXPORT pumiceTargets NAMESPACE pumice:: DESTINATION ${package_dir})
configure_package_config_file(cmake/pumiceConfig.cmake.in ${PROJECT_BINARY_DIR}/pumiceConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO
                              NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pumiceConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pumiceConfig.cmake
              ${PROJECT_BINARY_DIR}/pumiceConfigVersion.cmake DESTINATION ${package_dir})

# the way from the folder of pumice.pc back to the prefix, so that the prefix can be moved
file(RELATIVE_PATH PUMICE_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/pumice.pc.in ${PROJECT_BINARY_DIR}/pumice.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pumice.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
