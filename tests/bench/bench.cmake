# What bench/ prints of rows that were written by hand; nothing is timed.
foreach(name table commits)
  add_test(NAME bench/${name} COMMAND ${ENS_PYTHON} tests/bench/${name}.py
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endforeach()
