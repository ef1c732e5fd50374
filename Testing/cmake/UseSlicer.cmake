# What the CMake code of a scripted extension calls.
include(CTest) # as in Slicer, extensions are tested unless BUILD_TESTING is switched off
set(EXTENSION_NAME ${PROJECT_NAME})
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR ${Slicer_INSTALL_ROOT}${Slicer_QTSCRIPTEDMODULES_LIB_DIR})

# Copy scripts and resources to the build tree's folder of scripted modules, and have that folder installed.
# A relative name is joined to the folder as it is: with "../" it leads out of it. An absolute name is joined too, of a
# script after it was made relative to the build folder. Neither is an error; neither file is where it is looked for.
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(NOT MODULE_NAME OR MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "A scripted module has a NAME, SCRIPTS and RESOURCES; this one: ${ARGN}")
  endif()

  set(folder ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
  set(what_to_install ${folder}/) # all that lies in it, of whatever module
  if(MODULE_WITH_SUBDIR)
    get_filename_component(own ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    set(folder ${folder}/${own})
    set(what_to_install ${folder})
  endif()

  set(copies)
  foreach(kind SCRIPTS RESOURCES)
    foreach(name IN LISTS MODULE_${kind})
      if(kind STREQUAL "SCRIPTS" AND NOT name MATCHES "\\.py")
        string(APPEND name .py)
      endif()
      get_filename_component(source ${name} ABSOLUTE)
      if(NOT EXISTS ${source})
        message(FATAL_ERROR "${MODULE_NAME} has no ${name}")
      endif()
      if(kind STREQUAL "SCRIPTS" AND IS_ABSOLUTE ${name})
        file(RELATIVE_PATH name ${CMAKE_CURRENT_BINARY_DIR} ${name})
      endif()
      add_custom_command(
        OUTPUT ${folder}/${name}
        COMMAND ${CMAKE_COMMAND} -E copy ${source} ${folder}/${name}
        DEPENDS ${source}
        )
      list(APPEND copies ${folder}/${name})
    endforeach()
  endforeach()
  add_custom_target(Copy${MODULE_NAME} ALL DEPENDS ${copies})

  install(
    DIRECTORY ${what_to_install}
    DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    COMPONENT RuntimeLibraries
    USE_SOURCE_PERMISSIONS
    )
  if(BUILD_TESTING AND MODULE_WITH_GENERIC_TESTS)
    slicer_add_python_unittest(SCRIPT qSlicer${MODULE_NAME}ModuleGenericTest.py TESTNAME_PREFIX nomainwindow_)
  endif()
endfunction()

# Name a test of Slicer's; two of one name are an error. There is no Slicer to run it, so it fails.
function(slicer_add_python_unittest)
  cmake_parse_arguments(TEST "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  get_filename_component(name ${TEST_SCRIPT} NAME_WE)
  add_test(NAME py_${TEST_TESTNAME_PREFIX}${name} COMMAND ${CMAKE_COMMAND} -E false)
endfunction()
