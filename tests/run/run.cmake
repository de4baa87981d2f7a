# What run/ writes for others to read, judged by programs that are not ours:
# a unit test writes it into a folder, and a script reads it there.
foreach(judge events:telemetry metrics:metrics report:report
        artefacts:artefacts)
  string(REPLACE ":" ";" parts ${judge})
  list(GET parts 0 script)
  list(GET parts 1 short)
  if(TARGET test_run_${short})
    add_test(NAME run/${script}_judged
             COMMAND ${ENS_PYTHON} tests/run/${script}.py
                     $<TARGET_FILE:test_run_${short}>
             WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(run/${script}_judged PROPERTIES SKIP_RETURN_CODE 77
                         TIMEOUT 600)
  endif()
endforeach()

# Which device goes on first, these tests say (gate.h); and one of them what
# time it is.
foreach(test crew cuda_cards ladder nonsense)
  target_link_options(test_run_${test} PRIVATE -Wl,--wrap=batch_encode)
endforeach()
target_link_options(test_run_crew PRIVATE -Wl,--wrap=clock_now_ns
                    -Wl,--wrap=pass_read_ahead)

# Which threads are workers: those that have encoded.
target_link_options(test_run_no_malloc PRIVATE -Wl,--wrap=encoder_encode)
# Somebody looks at a lock just when it is taken.
target_link_options(test_run_lock PRIVATE -Wl,--wrap=flock)

# `ensembed search` against NumPy and SciPy over the files of a run.
add_test(NAME run/search_judged
         COMMAND ${ENS_PYTHON} tests/run/search.py $<TARGET_FILE:ens_program>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(run/search_judged PROPERTIES SKIP_RETURN_CODE 77
                     TIMEOUT 600)

# Heads that were once computed otherwise than upstream.
add_test(NAME run/head_cases
         COMMAND ${ENS_PYTHON} tests/run/head_cases.py $<TARGET_FILE:ens_program>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(run/head_cases PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)

# What int8 and bf16 runs say of their drift, against NumPy over two runs.
add_test(NAME run/drift_judged
         COMMAND ${ENS_PYTHON} tests/run/drift.py $<TARGET_FILE:ens_program>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(run/drift_judged PROPERTIES SKIP_RETURN_CODE 77
                     TIMEOUT 600)

# A hundred models on the fake card: under sanitizers run/cuda_cards and
# device/cuda_* see to the same code.
set_tests_properties(run/cuda PROPERTIES LABELS heavy)

# Whole runs on fake cards, against NumPy and the CPU.
add_test(NAME run/cuda_judged
         COMMAND ${ENS_PYTHON} tests/run/cuda.py $<TARGET_FILE:ens_program>
                 ${CMAKE_BINARY_DIR}/fake_cuda
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(run/cuda_judged PROPERTIES SKIP_RETURN_CODE 77
                     TIMEOUT 600 LABELS heavy)
