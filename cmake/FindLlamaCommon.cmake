# llama.cpp's `common` library, which scripts/deps copies beside the installed llama.cpp: it has no package of its own.
# Defines llama::common.
find_path(LLAMA_COMMON_INCLUDE_DIR chat.h PATH_SUFFIXES llama-common)
foreach(part llama-common llama-common-base cpp-httplib)
  find_library(LLAMA_COMMON_${part}_LIBRARY ${part})
  list(APPEND llama_common_libraries ${LLAMA_COMMON_${part}_LIBRARY})
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LlamaCommon REQUIRED_VARS LLAMA_COMMON_INCLUDE_DIR LLAMA_COMMON_llama-common_LIBRARY
  LLAMA_COMMON_llama-common-base_LIBRARY LLAMA_COMMON_cpp-httplib_LIBRARY)

if(LlamaCommon_FOUND AND NOT TARGET llama::common)
  add_library(llama::common INTERFACE IMPORTED)
  set_target_properties(llama::common PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${LLAMA_COMMON_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${llama_common_libraries};llama;Threads::Threads")
endif()
