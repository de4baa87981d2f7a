# cmake --install: program, libraries, header, pkg-config file, man page and
# shell completions.
if(TARGET ens_program)
  install(TARGETS ens_program RUNTIME)
  set(manual ${CMAKE_BINARY_DIR}/manual)
  install(FILES ${manual}/ensembed.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${manual}/ensembed.bash RENAME ensembed
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${manual}/_ensembed
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${manual}/ensembed.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
if(TARGET ens_shared)
  install(TARGETS ens_shared LIBRARY)
  install(FILES ${CMAKE_BINARY_DIR}/libensembed.a
          DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES include/ensembed.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  # Found from where it lies, so that `cmake --install --prefix` moves it all.
  file(RELATIVE_PATH ENS_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(cmake/ensembed.pc.in ensembed.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/ensembed.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
