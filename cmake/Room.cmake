# cllm_room(NAME [THREADED] [SEPARATE] [INNER] [USES room …] [LIBRARIES target …]): the library of the room in the current folder, and its unit tests.
# Every *.cc belongs to the room, except x_test.cc (one test program a room) and x_fuzz.cc (a libFuzzer program each, in the
# fuzz preset).
# Several sources are compiled together where the preset says so (CMAKE_UNITY_BUILD): most of the time goes into headers. So names in
# anonymous namespaces are different in all of a room, unless it is SEPARATE.
# THREADED says that several threads use its objects at a time: its tests have the label "threads".
# INNER says that no byte from outside reaches it: its tests are left out of the build with AddressSanitizer.
# USES are the rooms that it may include; libraries stay private to it.
function(cllm_room name)
  cmake_parse_arguments(ROOM "THREADED;SEPARATE;INNER" "" "USES;LIBRARIES;TEST_USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  file(GLOB fuzzers CONFIGURE_DEPENDS *_fuzz.cc)

  list(TRANSFORM ROOM_USES PREPEND cllm_)
  list(TRANSFORM ROOM_TEST_USES PREPEND cllm_)
  add_library(cllm_${name} STATIC ${sources})
  target_include_directories(cllm_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(cllm_${name} PUBLIC ${ROOM_USES} PRIVATE ${ROOM_LIBRARIES})
  cllm_compile_options(cllm_${name})
  if(ROOM_SEPARATE)
    set_target_properties(cllm_${name} PROPERTIES UNITY_BUILD OFF)
  endif()

  if(ROOM_INNER AND CLLM_SANITIZER STREQUAL "address")
    set(tests)
  endif()
  if(CLLM_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE cllm_${name} ${ROOM_TEST_USES} ${ROOM_LIBRARIES} GTest::gtest_main)
    cllm_compile_options(${name}_test)
    cllm_spare_options(${name}_test)
    if(ROOM_SEPARATE)
      set_target_properties(${name}_test PROPERTIES UNITY_BUILD OFF)
    endif()
    include(GoogleTest)
    # Asked for its tests when they run, not when it is built: then scripts/test has set what the sanitizers need.
    set(labels)
    if(ROOM_THREADED)
      set(labels PROPERTIES LABELS threads)
      set_property(GLOBAL APPEND PROPERTY CLLM_THREADED_TESTS ${name}_test)
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 DISCOVERY_MODE PRE_TEST ${labels})
  endif()

  if(CLLM_SANITIZER STREQUAL "fuzzer")
    foreach(fuzzer ${fuzzers})
      cmake_path(GET fuzzer STEM LAST_ONLY target)
      add_executable(${target} ${fuzzer})
      target_link_libraries(${target} PRIVATE cllm_${name} ${ROOM_TEST_USES} ${ROOM_LIBRARIES})
      cllm_compile_options(${target})
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      set_property(GLOBAL APPEND PROPERTY CLLM_FUZZERS ${target})
    endforeach()
  endif()
endfunction()

function(cllm_compile_options target)
  # GCC 12 warns of impossible copies where a string is put behind a literal (its bug 105329).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -ffp-contract=off)
  if(CLLM_SANITIZER STREQUAL "address")
    # Of undefined behaviour what the address sanitizer can't see; the rest would take the compiler as long again. The fuzzers look
    # for all of it.
    set(telling signed-integer-overflow,shift,integer-divide-by-zero,float-cast-overflow,bounds,enum,bool,return,unreachable)
    set(flags -fsanitize=address,${telling} -fno-sanitize-recover=${telling} -fno-omit-frame-pointer)
  elseif(CLLM_SANITIZER STREQUAL "thread")
    set(flags -fsanitize=thread)
  elseif(CLLM_SANITIZER STREQUAL "fuzzer")
    set(flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
        -fprofile-instr-generate -fcoverage-mapping)
  endif()
  target_compile_options(${target} PRIVATE ${flags})
  target_link_options(${target} PRIVATE ${flags})
endfunction()

# Optimising the code of tests, or looking for undefined behaviour in it, takes the compiler longer than it takes off their run.
function(cllm_spare_options target)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${target} PRIVATE -O1)
  elseif(CLLM_SANITIZER)
    target_compile_options(${target} PRIVATE -O0 -fno-sanitize=undefined)
  endif()
endfunction()
