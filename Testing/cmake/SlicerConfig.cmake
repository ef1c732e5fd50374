# Stands in for a built Slicer, so that the extension can be configured, built and installed where there is none:
#     cmake -S . -B build -D Slicer_DIR=Testing/cmake --toolchain Testing/cmake/no_compiler.cmake
# Only what decides which file ends where behaves as in Slicer 5.13; Testing/project/test_install_tree.py uses it.
set(Slicer_VERSION 5.13)
set(Slicer_LIB_DIR lib/Slicer-${Slicer_VERSION})
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR ${Slicer_LIB_DIR}/qt-scripted-modules)
set(Slicer_INSTALL_ROOT ./)

set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/GenerateConfig.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/Package.cmake)
