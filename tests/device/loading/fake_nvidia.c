/* A library that has the names of one of NVIDIA's and does next to nothing, for
 * the tests of what is opened and what is refused. Built several times
 * (loading.cmake):
 *
 *   LIKE_DRIVER, LIKE_NVRTC or LIKE_BLAS   which one
 *   VERSION     what it says of itself, as cuDriverGetVersion does (12040)
 *   CARDS       how many the driver knows
 *   OLD_NAMES   only the first form of functions that have two
 *   LACKING     without the last function
 *   MUTE        the version cannot be asked for
 *   DEAD        cuInit fails
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))
#define STUB(name)                                                             \
    EXPORT int name(void);                                                     \
    int name(void) {                                                           \
        return 999;                                                            \
    }

#ifdef LIKE_DRIVER

EXPORT int cuInit(unsigned flags);
int cuInit(unsigned flags) {
#ifdef DEAD
    return flags ? 1 : 802;
#else
    return flags ? 1 : CARDS ? 0 : 100;
#endif
}

EXPORT int cuDriverGetVersion(int *version);
int cuDriverGetVersion(int *version) {
#ifdef MUTE
    return version ? 999 : 1;
#else
    *version = VERSION;
    return 0;
#endif
}

EXPORT int cuGetErrorName(int result, const char **name);
int cuGetErrorName(int result, const char **name) {
    *name = result == 802 ? "CUDA_ERROR_SYSTEM_NOT_READY" : NULL;
    return *name ? 0 : 1;
}

EXPORT int cuGetErrorString(int result, const char **text);
int cuGetErrorString(int result, const char **text) {
    *text = result == 802 ? "system not yet initialized" : NULL;
    return *text ? 0 : 1;
}

EXPORT int cuDeviceGetCount(int *count);
int cuDeviceGetCount(int *count) {
    *count = CARDS;
    return 0;
}

EXPORT int cuDeviceGet(int *device, int ordinal);
int cuDeviceGet(int *device, int ordinal) {
    *device = 10 + ordinal;
    return 0;
}

EXPORT int cuDeviceGetName(char *name, int bytes, int device);
int cuDeviceGetName(char *name, int bytes, int device) {
    snprintf(name, (size_t)bytes, "Fake Card %d", device);
    return 0;
}

EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)device << 30;
    return 0;
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 7 : attribute == 76 ? 5 : device;
    return 0;
}

#ifdef OLD_NAMES
STUB(cuDeviceGetUuid)
STUB(cuEventElapsedTime)
#else
STUB(cuDeviceGetUuid_v2)
STUB(cuEventElapsedTime_v2)
#endif
STUB(cuDevicePrimaryCtxRetain)
STUB(cuDevicePrimaryCtxRelease_v2)
STUB(cuCtxSetCurrent)
STUB(cuMemGetInfo_v2)
STUB(cuMemAlloc_v2)
STUB(cuMemFree_v2)
STUB(cuMemHostRegister_v2)
STUB(cuMemHostUnregister)
STUB(cuMemcpyHtoDAsync_v2)
STUB(cuMemcpyDtoHAsync_v2)
STUB(cuMemsetD8Async)
STUB(cuStreamCreate)
STUB(cuStreamDestroy_v2)
STUB(cuStreamSynchronize)
STUB(cuStreamWaitEvent)
STUB(cuEventCreate)
STUB(cuEventDestroy_v2)
STUB(cuEventRecord)
STUB(cuEventSynchronize)
STUB(cuModuleLoadData)
STUB(cuModuleUnload)
STUB(cuModuleGetFunction)
STUB(cuFuncSetAttribute)
#ifndef LACKING
STUB(cuLaunchKernel)
#endif

#elif defined LIKE_NVRTC

EXPORT int nvrtcVersion(int *major, int *minor);
int nvrtcVersion(int *major, int *minor) {
#ifdef MUTE
    return major == minor ? 1 : 3;
#else
    *major = VERSION / 1000;
    *minor = VERSION % 1000 / 10;
    return 0;
#endif
}
STUB(nvrtcGetErrorString)
STUB(nvrtcGetNumSupportedArchs)
STUB(nvrtcGetSupportedArchs)
STUB(nvrtcCreateProgram)
STUB(nvrtcCompileProgram)
STUB(nvrtcGetProgramLogSize)
STUB(nvrtcGetProgramLog)
STUB(nvrtcGetCUBINSize)
STUB(nvrtcGetCUBIN)
#ifndef LACKING
STUB(nvrtcDestroyProgram)
#endif

#else

EXPORT size_t cublasLtGetVersion(void);
size_t cublasLtGetVersion(void) { /* 120904 is 12.9.4 */
    return VERSION / 1000 * 10000 + VERSION % 1000 * 10 + 4;
}
STUB(cublasLtCreate)
STUB(cublasLtDestroy)
STUB(cublasLtMatmulDescCreate)
STUB(cublasLtMatmulDescDestroy)
STUB(cublasLtMatmulDescSetAttribute)
STUB(cublasLtMatrixLayoutCreate)
STUB(cublasLtMatrixLayoutDestroy)
STUB(cublasLtMatmulPreferenceCreate)
STUB(cublasLtMatmulPreferenceDestroy)
STUB(cublasLtMatmulPreferenceSetAttribute)
STUB(cublasLtMatmulAlgoGetHeuristic)
#ifndef LACKING
STUB(cublasLtMatmul)
#endif

#endif
