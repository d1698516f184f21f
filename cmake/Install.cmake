# `make install`: the program, what is made from its own tables, and the licences of what is linked. Nothing that is
# installed names a folder of the build.
include(GNUInstallDirs)

# cllm_install_program(TARGET LIBRARY_PREFIXES prefix …): the program, and beside it in lib/cllm the shared libraries of
# llama.cpp and ggml that the prefixes hold (none where they are linked statically). The program finds these, and they find
# each other, by a path relative to itself, so the whole tree can be moved.
function(cllm_install_program target)
  cmake_parse_arguments(PROGRAM "" "" "LIBRARY_PREFIXES" ${ARGN})
  set(libraries)
  foreach(prefix IN LISTS PROGRAM_LIBRARY_PREFIXES)
    file(GLOB found CONFIGURE_DEPENDS ${prefix}/lib/libllama*.so* ${prefix}/lib/libggml*.so* ${prefix}/bin/libggml*.so*)
    list(APPEND libraries ${found})
  endforeach()
  if(libraries)
    file(RELATIVE_PATH to_libraries ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR}/cllm)
    # RPATH and not RUNPATH: only the former holds for what the libraries need in turn.
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
    target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
    install(PROGRAMS ${libraries} DESTINATION ${CMAKE_INSTALL_LIBDIR}/cllm)
  endif()
  if(TARGET ggml::ggml-cuda)
    # CUDA's libraries lie in a folder of their own, which the loader need not know.
    set_target_properties(${target} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  endif()
  install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# cllm_install_generated(TARGET DESTINATION NAME ARGUMENTS …): what the program prints, made while it is installed.
function(cllm_install_generated target destination name)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/generated/${name})
  install(CODE "
    file(MAKE_DIRECTORY \"${CMAKE_CURRENT_BINARY_DIR}/generated\")
    execute_process(COMMAND \"$<TARGET_FILE:${target}>\" ${ARGN} OUTPUT_FILE \"${file}\" COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${file} DESTINATION ${destination})
endfunction()

# cllm_install_licenses(TARGET DESTINATION): one file for each library that is linked or included.
function(cllm_install_licenses target destination)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/licenses)
  install(CODE "
    execute_process(COMMAND \"${PROJECT_SOURCE_DIR}/scripts/licenses\" \"$<TARGET_FILE:${target}>\" \"${folder}\"
      COMMAND_ERROR_IS_FATAL ANY)")
  install(DIRECTORY ${folder}/ DESTINATION ${destination})
endfunction()
