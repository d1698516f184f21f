# Finds every library. What the system lacks is built by scripts/deps into a cache outside the checkout.
set(CLLM_DEPS_CC "${CMAKE_C_COMPILER}" CACHE STRING "C compiler of the libraries that scripts/deps builds")
set(CLLM_DEPS_CXX "${CMAKE_CXX_COMPILER}" CACHE STRING "C++ compiler of the libraries that scripts/deps builds")
set(deps_arguments --cc ${CLLM_DEPS_CC} --cxx ${CLLM_DEPS_CXX})
if(CLLM_GPU)
  list(APPEND deps_arguments --gpu ${CLLM_GPU})
endif()
# The fuzzers link none of these libraries' code that looks at input: they take them as the release build has them.
if(CLLM_SANITIZER AND NOT CLLM_SANITIZER STREQUAL "fuzzer")
  list(APPEND deps_arguments --sanitizer ${CLLM_SANITIZER})
endif()
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  scripts/deps scripts/deps.tsv scripts/patches/llama.cpp.patch scripts/patches/trantor.patch)
execute_process(
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/deps ${deps_arguments}
  OUTPUT_VARIABLE deps_prefixes
  OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE deps_result)
if(NOT deps_result EQUAL 0)
  message(FATAL_ERROR "scripts/deps failed: its messages are above")
endif()
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_SOURCE_DIR}/cmake)
list(PREPEND CMAKE_PREFIX_PATH ${deps_prefixes})
# CMake keeps where it once found a library: what scripts/deps has built anew since is to be found anew.
get_cmake_property(cached CACHE_VARIABLES)
foreach(name ${cached})
  if("${${name}}" MATCHES "^(.*/cllm/deps/[^/]+)/" AND NOT CMAKE_MATCH_1 IN_LIST deps_prefixes)
    unset(${name} CACHE)
  endif()
endforeach()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libedit REQUIRED IMPORTED_TARGET libedit)
find_package(OpenSSL REQUIRED)
find_package(HWY REQUIRED)
find_package(Drogon REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(llama REQUIRED)
if(TARGET ggml::ggml-cuda)
  # ggml's package names the driver, but not the shared libraries that a static ggml-cuda needs.
  find_package(CUDAToolkit REQUIRED)
  set_property(TARGET ggml::ggml-cuda APPEND PROPERTY INTERFACE_LINK_LIBRARIES CUDA::cudart CUDA::cublas)
endif()
find_package(LlamaCommon REQUIRED MODULE)
if(CLLM_TESTS)
  find_package(GTest REQUIRED)
endif()
