# Slicer packs the extension here, with the description that its catalogue shows; without a name it stops.
if(NOT EXTENSION_NAME STREQUAL PROJECT_NAME)
  message(FATAL_ERROR "The extension ${EXTENSION_NAME} is not what project() says: ${PROJECT_NAME}")
endif()
