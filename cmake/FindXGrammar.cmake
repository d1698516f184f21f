# xgrammar installs its library and headers, but no package for CMake.
find_library(XGRAMMAR_LIBRARY xgrammar)
find_path(XGRAMMAR_INCLUDE_DIR xgrammar/xgrammar.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(XGrammar REQUIRED_VARS XGRAMMAR_LIBRARY XGRAMMAR_INCLUDE_DIR)
if(XGrammar_FOUND AND NOT TARGET xgrammar::xgrammar)
  add_library(xgrammar::xgrammar STATIC IMPORTED)
  set_target_properties(xgrammar::xgrammar PROPERTIES
    IMPORTED_LOCATION "${XGRAMMAR_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${XGRAMMAR_INCLUDE_DIR}")
  target_link_libraries(xgrammar::xgrammar INTERFACE Threads::Threads)
endif()
