/* cuda_api.h - what we call of NVIDIA's libraries, in our own declarations.
 *
 * The driver (libcuda), NVRTC (the compiler of kernels) and cuBLASLt (products
 * of matrices) are opened when a card is used, and only then: the program is
 * built and runs without them. Names of functions, the order of their
 * arguments, and numbers of enumerations are those of CUDA 12 and 13, which
 * agree in all that is here (checked against their headers by
 * tools/cuda_numbers.py). A field has the name of the function without a
 * version suffix; cuda_library.c says which symbol it is.
 */

#ifndef DEVICE_CUDA_CUDA_API_H
#define DEVICE_CUDA_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

/* ---- the driver --------------------------------------------------------- */

typedef int cu_result; /* 0: fine */
typedef int cu_device;
typedef unsigned long long cu_pointer; /* of device memory */
typedef struct cu_context_s *cu_context;
typedef struct cu_module_s *cu_module;
typedef struct cu_function_s *cu_function;
typedef struct cu_stream_s *cu_stream;
typedef struct cu_event_s *cu_event;
typedef struct cu_uuid {
    char bytes[16];
} cu_uuid;

enum {
    CU_OUT_OF_MEMORY = 2,
    CU_DEVICE_UNAVAILABLE = 46,
    CU_NO_DEVICE = 100,
    /* cuDeviceGetAttribute */
    CU_ATTRIBUTE_MULTIPROCESSORS = 16,
    CU_ATTRIBUTE_CAPABILITY_MAJOR = 75,
    CU_ATTRIBUTE_CAPABILITY_MINOR = 76,
    CU_ATTRIBUTE_SHARED_BYTES_OPTIN = 97,
    /* cuFuncSetAttribute */
    CU_FUNCTION_SHARED_BYTES = 8,
    /* flags */
    CU_STREAM_NON_BLOCKING = 1,
    CU_EVENT_DEFAULT = 0,
    CU_EVENT_DISABLE_TIMING = 2,
};

struct cuda_driver {
    cu_result (*cuInit)(unsigned flags);
    cu_result (*cuDriverGetVersion)(int *version); /* 12090 is 12.9 */
    cu_result (*cuGetErrorName)(cu_result result, const char **name);
    cu_result (*cuGetErrorString)(cu_result result, const char **text);
    cu_result (*cuDeviceGetCount)(int *count);
    cu_result (*cuDeviceGet)(cu_device *device, int ordinal);
    cu_result (*cuDeviceGetName)(char *name, int bytes, cu_device device);
    cu_result (*cuDeviceGetUuid)(cu_uuid *uuid, cu_device device);
    cu_result (*cuDeviceTotalMem)(size_t *bytes, cu_device device);
    cu_result (*cuDeviceGetAttribute)(int *value, int attribute,
                                      cu_device device);
    cu_result (*cuDevicePrimaryCtxRetain)(cu_context *context,
                                          cu_device device);
    cu_result (*cuDevicePrimaryCtxRelease)(cu_device device);
    cu_result (*cuCtxSetCurrent)(cu_context context);
    cu_result (*cuMemGetInfo)(size_t *bytes_free, size_t *bytes_total);
    cu_result (*cuMemAlloc)(cu_pointer *block, size_t bytes);
    cu_result (*cuMemFree)(cu_pointer block);
    cu_result (*cuMemHostRegister)(void *host, size_t bytes, unsigned flags);
    cu_result (*cuMemHostUnregister)(void *host);
    cu_result (*cuMemcpyHtoDAsync)(cu_pointer to, const void *from,
                                   size_t bytes, cu_stream stream);
    cu_result (*cuMemcpyDtoHAsync)(void *to, cu_pointer from, size_t bytes,
                                   cu_stream stream);
    cu_result (*cuMemsetD8Async)(cu_pointer to, unsigned char value,
                                 size_t bytes, cu_stream stream);
    cu_result (*cuStreamCreate)(cu_stream *stream, unsigned flags);
    cu_result (*cuStreamDestroy)(cu_stream stream);
    cu_result (*cuStreamSynchronize)(cu_stream stream);
    cu_result (*cuStreamWaitEvent)(cu_stream stream, cu_event event,
                                   unsigned flags);
    cu_result (*cuEventCreate)(cu_event *event, unsigned flags);
    cu_result (*cuEventDestroy)(cu_event event);
    cu_result (*cuEventRecord)(cu_event event, cu_stream stream);
    cu_result (*cuEventSynchronize)(cu_event event);
    cu_result (*cuEventElapsedTime)(float *ms, cu_event begin, cu_event end);
    cu_result (*cuModuleLoadData)(cu_module *module, const void *image);
    cu_result (*cuModuleUnload)(cu_module module);
    cu_result (*cuModuleGetFunction)(cu_function *function, cu_module module,
                                     const char *name);
    cu_result (*cuFuncSetAttribute)(cu_function function, int attribute,
                                    int value);
    cu_result (*cuLaunchKernel)(cu_function function, unsigned grid_x,
                                unsigned grid_y, unsigned grid_z,
                                unsigned block_x, unsigned block_y,
                                unsigned block_z, unsigned shared_bytes,
                                cu_stream stream, void **params, void **extra);
};

/* ---- NVRTC -------------------------------------------------------------- */

typedef struct nvrtc_program_s *nvrtc_program;

struct cuda_nvrtc {
    int (*nvrtcVersion)(int *major, int *minor);
    const char *(*nvrtcGetErrorString)(int result);
    int (*nvrtcGetNumSupportedArchs)(int *count);
    int (*nvrtcGetSupportedArchs)(int *archs); /* 75, 80, ... */
    int (*nvrtcCreateProgram)(nvrtc_program *program, const char *source,
                              const char *name, int headers_count,
                              const char *const *headers,
                              const char *const *header_names);
    int (*nvrtcCompileProgram)(nvrtc_program program, int options_count,
                               const char *const *options);
    int (*nvrtcGetProgramLogSize)(nvrtc_program program, size_t *bytes);
    int (*nvrtcGetProgramLog)(nvrtc_program program, char *log);
    int (*nvrtcGetCUBINSize)(nvrtc_program program, size_t *bytes);
    int (*nvrtcGetCUBIN)(nvrtc_program program, char *image);
    int (*nvrtcDestroyProgram)(nvrtc_program *program);
};

/* ---- cuBLASLt ----------------------------------------------------------- */

typedef struct blas_handle_s *blas_handle;
typedef struct blas_matmul_s *blas_matmul; /* cublasLtMatmulDesc_t */
typedef struct blas_layout_s *blas_layout; /* cublasLtMatrixLayout_t */
typedef struct blas_preference_s *blas_preference;

/* cublasLtMatmulAlgo_t and cublasLtMatmulHeuristicResult_t. */
struct blas_algorithm {
    uint64_t data[8];
};
struct blas_heuristic {
    struct blas_algorithm algorithm;
    size_t workspace_bytes;
    int state; /* 0: can be used */
    float waves;
    int reserved[4];
};

enum {
    /* cublasStatus_t */
    BLAS_NO_MEMORY = 3,
    BLAS_INVALID_VALUE = 7,
    BLAS_NOT_SUPPORTED = 15,
    /* cudaDataType */
    BLAS_F32 = 0,
    BLAS_F16 = 2,
    BLAS_BF16 = 14,
    BLAS_E4M3 = 28,
    /* cublasComputeType_t: products of narrow numbers are summed in f32; f32
     * numbers are multiplied as they are (no TF32) */
    BLAS_COMPUTE_F32 = 68,
    BLAS_COMPUTE_F32_PEDANTIC = 69,
    /* cublasLtMatmulDescAttributes_t */
    BLAS_MATMUL_TRANSPOSE_A = 3,
    BLAS_MATMUL_TRANSPOSE_B = 4,
    BLAS_MATMUL_EPILOGUE = 7,
    BLAS_MATMUL_BIAS_POINTER = 8,
    BLAS_MATMUL_BIAS_TYPE = 26,
    BLAS_MATMUL_A_SCALE = 17, /* of e4m3: address of a float on the card */
    BLAS_MATMUL_B_SCALE = 18,
    BLAS_TRANSPOSE = 1,
    /* cublasLtEpilogue_t */
    BLAS_EPILOGUE_DEFAULT = 1,
    BLAS_EPILOGUE_RELU = 2,
    BLAS_EPILOGUE_BIAS = 4,
    BLAS_EPILOGUE_RELU_BIAS = 6,
    BLAS_EPILOGUE_GELU = 32, /* the tanh form */
    BLAS_EPILOGUE_GELU_BIAS = 36,
    /* cublasLtMatmulPreferenceAttributes_t */
    BLAS_PREFERENCE_WORKSPACE_BYTES = 1,
    BLAS_PREFERENCE_REDUCTION = 3,   /* a mask: */
    BLAS_REDUCTION_COMPUTE = 2,      /* parts of a sum are added as floats */
    BLAS_PREFERENCE_ALIGNMENT_A = 5, /* in bytes; 256 if not set */
    BLAS_PREFERENCE_ALIGNMENT_B = 6,
    BLAS_PREFERENCE_ALIGNMENT_C = 7,
    BLAS_PREFERENCE_ALIGNMENT_D = 8,
};

struct cuda_blas {
    size_t (*cublasLtGetVersion)(void); /* 120900 is 12.9, 130000 13.0 */
    int (*cublasLtCreate)(blas_handle *handle);
    int (*cublasLtDestroy)(blas_handle handle);
    int (*cublasLtMatmulDescCreate)(blas_matmul *matmul, int compute,
                                    int scale_type);
    int (*cublasLtMatmulDescDestroy)(blas_matmul matmul);
    int (*cublasLtMatmulDescSetAttribute)(blas_matmul matmul, int attribute,
                                          const void *value, size_t bytes);
    int (*cublasLtMatrixLayoutCreate)(blas_layout *layout, int type,
                                      uint64_t rows, uint64_t columns,
                                      int64_t leading);
    int (*cublasLtMatrixLayoutDestroy)(blas_layout layout);
    int (*cublasLtMatmulPreferenceCreate)(blas_preference *preference);
    int (*cublasLtMatmulPreferenceDestroy)(blas_preference preference);
    int (*cublasLtMatmulPreferenceSetAttribute)(blas_preference preference,
                                                int attribute,
                                                const void *value,
                                                size_t bytes);
    int (*cublasLtMatmulAlgoGetHeuristic)(
        blas_handle handle, blas_matmul matmul, blas_layout a, blas_layout b,
        blas_layout c, blas_layout d, blas_preference preference,
        int results_wanted, struct blas_heuristic *results, int *results_count);
    int (*cublasLtMatmul)(blas_handle handle, blas_matmul matmul,
                          const void *alpha, const void *a, blas_layout a_is,
                          const void *b, blas_layout b_is, const void *beta,
                          const void *c, blas_layout c_is, void *d,
                          blas_layout d_is,
                          const struct blas_algorithm *algorithm,
                          void *workspace, size_t workspace_bytes,
                          cu_stream stream);
};

#endif
