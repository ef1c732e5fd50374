# Slicer's own macros ask for the C++ compiler, so project() enables the language. Nothing of this extension is
# compiled: with this toolchain any program does for a compiler, and none is looked for or tried.
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER ${CMAKE_COMMAND})
  set(CMAKE_${language}_COMPILER_FORCED TRUE)
  set(CMAKE_${language}_COMPILER_ID_RUN TRUE)
endforeach()
