/* cpp_fixture.h - cmocka and the project's C headers in a C++ test. */

#ifndef TESTS_DEVICE_CUDA_CPP_FIXTURE_H
#define TESTS_DEVICE_CUDA_CPP_FIXTURE_H

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

#endif
