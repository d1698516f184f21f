# Included by CMake at the start of a project that is a part of a library with a sanitizer (scripts/deps): what is built from here
# on has none, and is as fast as in a release.
foreach(language C CXX)
  string(REGEX REPLACE "-fsanitize=[a-z,]+" "" CMAKE_${language}_FLAGS "${CMAKE_${language}_FLAGS}")
  set(CMAKE_${language}_FLAGS_RELEASE "-O3 -DNDEBUG")
endforeach()
