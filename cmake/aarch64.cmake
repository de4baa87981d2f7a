# A build for aarch64 on another machine, by Debian's cross compiler; CMake and
# ctest run what it makes under QEMU. ENS_SYSROOT holds the target's libraries
# (tests/long/aarch64.sh makes one):
#
#     cmake -S . -B build/aarch64/gcc -DENS_SYSROOT=$PWD/build/aarch64/sysroot \
#         -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# CMake reads this file again for each of its trials, which know no other
# variables than these.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ENS_SYSROOT)
set(CMAKE_SYSROOT ${ENS_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${ENS_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${ENS_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${ENS_SYSROOT}/usr/share/pkgconfig)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${ENS_SYSROOT})
