#!/usr/bin/env python3
"""Hold src/device/cuda/cuda_api.h against NVIDIA's own headers.

    tools/cuda_numbers.py FOLDER...

A FOLDER is one version's headers: what pip installs with `--target FOLDER` of
nvidia-cuda-runtime, nvidia-cuda-nvrtc and nvidia-cublas (CUDA 13), or of the
same names with -cu12 (12). A C compiler then compares the type of each of our
functions with theirs, argument by argument, each number with their
enumeration's, and the structs' sizes; the symbols that cuda_library.c asks for
are compared with the names that their macros make. Prints what differs and
exits 1; needs no card.
"""

import os
import re
import subprocess
import sys
import tempfile

API = "src/device/cuda/cuda_api.h"
LIBRARY = "src/device/cuda/cuda_library.c"

TYPES = {
    "cu_result": "CUresult",
    "cu_device": "CUdevice",
    "cu_pointer": "CUdeviceptr",
    "cu_context": "CUcontext",
    "cu_module": "CUmodule",
    "cu_function": "CUfunction",
    "cu_stream": "CUstream",
    "cu_event": "CUevent",
    "cu_uuid": "CUuuid",
    "nvrtc_program": "nvrtcProgram",
    "blas_handle": "cublasLtHandle_t",
    "blas_matmul": "cublasLtMatmulDesc_t",
    "blas_layout": "cublasLtMatrixLayout_t",
    "blas_preference": "cublasLtMatmulPreference_t",
    "struct blas_algorithm": "cublasLtMatmulAlgo_t",
    "struct blas_heuristic": "cublasLtMatmulHeuristicResult_t",
}
# What is an int to us and an enumeration to them.
RESULTS = {"nvrtc": "nvrtcResult", "cublasLt": "cublasStatus_t"}
ENUMERATIONS = {
    ("cuDeviceGetAttribute", "attribute"): "CUdevice_attribute",
    ("cuFuncSetAttribute", "attribute"): "CUfunction_attribute",
    ("nvrtcGetErrorString", "result"): "nvrtcResult",
    ("cublasLtMatmulDescCreate", "compute"): "cublasComputeType_t",
    ("cublasLtMatmulDescCreate", "scale_type"): "cudaDataType_t",
    ("cublasLtMatmulDescSetAttribute", "attribute"):
        "cublasLtMatmulDescAttributes_t",
    ("cublasLtMatrixLayoutCreate", "type"): "cudaDataType",
    ("cublasLtMatmulPreferenceSetAttribute", "attribute"):
        "cublasLtMatmulPreferenceAttributes_t",
}
NUMBERS = {
    "CU_OUT_OF_MEMORY": "CUDA_ERROR_OUT_OF_MEMORY",
    "CU_DEVICE_UNAVAILABLE": "CUDA_ERROR_DEVICE_UNAVAILABLE",
    "CU_NO_DEVICE": "CUDA_ERROR_NO_DEVICE",
    "CU_ATTRIBUTE_MULTIPROCESSORS": "CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT",
    "CU_ATTRIBUTE_CAPABILITY_MAJOR":
        "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR",
    "CU_ATTRIBUTE_CAPABILITY_MINOR":
        "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR",
    "CU_ATTRIBUTE_SHARED_BYTES_OPTIN":
        "CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN",
    "CU_FUNCTION_SHARED_BYTES":
        "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES",
    "CU_STREAM_NON_BLOCKING": "THEIR_STREAM_NON_BLOCKING",
    "CU_EVENT_DEFAULT": "THEIR_EVENT_DEFAULT",
    "CU_EVENT_DISABLE_TIMING": "THEIR_EVENT_DISABLE_TIMING",
    "BLAS_NO_MEMORY": "CUBLAS_STATUS_ALLOC_FAILED",
    "BLAS_INVALID_VALUE": "CUBLAS_STATUS_INVALID_VALUE",
    "BLAS_NOT_SUPPORTED": "CUBLAS_STATUS_NOT_SUPPORTED",
    "BLAS_F32": "CUDA_R_32F",
    "BLAS_F16": "CUDA_R_16F",
    "BLAS_BF16": "CUDA_R_16BF",
    "BLAS_E4M3": "CUDA_R_8F_E4M3",
    "BLAS_COMPUTE_F32": "CUBLAS_COMPUTE_32F",
    "BLAS_COMPUTE_F32_PEDANTIC": "CUBLAS_COMPUTE_32F_PEDANTIC",
    "BLAS_MATMUL_TRANSPOSE_A": "CUBLASLT_MATMUL_DESC_TRANSA",
    "BLAS_MATMUL_A_SCALE": "CUBLASLT_MATMUL_DESC_A_SCALE_POINTER",
    "BLAS_MATMUL_B_SCALE": "CUBLASLT_MATMUL_DESC_B_SCALE_POINTER",
    "BLAS_MATMUL_TRANSPOSE_B": "CUBLASLT_MATMUL_DESC_TRANSB",
    "BLAS_MATMUL_EPILOGUE": "CUBLASLT_MATMUL_DESC_EPILOGUE",
    "BLAS_MATMUL_BIAS_POINTER": "CUBLASLT_MATMUL_DESC_BIAS_POINTER",
    "BLAS_MATMUL_BIAS_TYPE": "CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE",
    "BLAS_TRANSPOSE": "CUBLAS_OP_T",
    "BLAS_EPILOGUE_DEFAULT": "CUBLASLT_EPILOGUE_DEFAULT",
    "BLAS_EPILOGUE_RELU": "CUBLASLT_EPILOGUE_RELU",
    "BLAS_EPILOGUE_BIAS": "CUBLASLT_EPILOGUE_BIAS",
    "BLAS_EPILOGUE_RELU_BIAS": "CUBLASLT_EPILOGUE_RELU_BIAS",
    "BLAS_EPILOGUE_GELU": "CUBLASLT_EPILOGUE_GELU",
    "BLAS_EPILOGUE_GELU_BIAS": "CUBLASLT_EPILOGUE_GELU_BIAS",
    "BLAS_NO_MEMORY": "CUBLAS_STATUS_ALLOC_FAILED",
    "BLAS_INVALID_VALUE": "CUBLAS_STATUS_INVALID_VALUE",
    "BLAS_NOT_SUPPORTED": "CUBLAS_STATUS_NOT_SUPPORTED",
    "BLAS_PREFERENCE_REDUCTION": "CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK",
    "BLAS_REDUCTION_COMPUTE": "CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE",
    "BLAS_PREFERENCE_ALIGNMENT_A": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES",
    "BLAS_PREFERENCE_ALIGNMENT_B": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES",
    "BLAS_PREFERENCE_ALIGNMENT_C": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES",
    "BLAS_PREFERENCE_ALIGNMENT_D": "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES",
    "BLAS_PREFERENCE_WORKSPACE_BYTES":
        "CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES",
    "BLAS_PREFERENCE_REDUCTION": "CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK",
    "BLAS_REDUCTION_COMPUTE": "CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE",
    "BLAS_PREFERENCE_ALIGNMENT_A":
        "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES",
    "BLAS_PREFERENCE_ALIGNMENT_B":
        "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES",
    "BLAS_PREFERENCE_ALIGNMENT_C":
        "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES",
    "BLAS_PREFERENCE_ALIGNMENT_D":
        "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES",
}
# Three of our names are macros or enumerators of theirs as well.
THEIRS = """
enum {
    THEIR_STREAM_NON_BLOCKING = CU_STREAM_NON_BLOCKING,
    THEIR_EVENT_DEFAULT = CU_EVENT_DEFAULT,
    THEIR_EVENT_DISABLE_TIMING = CU_EVENT_DISABLE_TIMING,
};
"""
# Parts of a toolkit that their headers ask for and that say nothing to us.
STUBS = {
    "crt/host_defines.h": "#define CUDARTAPI\n#define __device_builtin__\n"
    "#define __host__\n#define __device__\n#define __cudart_builtin__\n"
    "#define __builtin_align__(n) __attribute__((aligned(n)))\n"
    "#define __align__(n) __attribute__((aligned(n)))\n"
    "#define __CUDA_ARCH_HAS_FEATURE__(x) 0\n#define __forceinline__ inline\n",
    "cuda_fp16.h": "typedef struct { unsigned short x; } __half;\n",
    "cuda_bf16.h": "typedef struct { unsigned short x; } __nv_bfloat16;\n",
}


def find_headers(folder):
    """The include folders of FOLDER, by the headers that are needed."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            found.setdefault(name, path)
    for name in ("cuda.h", "nvrtc.h", "cublasLt.h", "library_types.h"):
        if name not in found:
            sys.exit(f"{folder}: there is no {name} below it")
    order = [found[n] for n in ("cublasLt.h", "cuda.h", "nvrtc.h")]
    return order, os.path.join(found["cuda.h"], "cuda.h")


def uncommented(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def functions(text):
    """(name, result, arguments) of the pointers to functions in TEXT."""
    pattern = r"([\w \n]+?[ *]+)\(\*(\w+)\)\(([^;]*?)\);"
    return [(name, result.strip(), [a.strip() for a in arguments.split(",")])
            for result, name, arguments in re.findall(pattern, text)]


def their_type(text):
    for ours in sorted(TYPES, key=len, reverse=True):
        text = re.sub(rf"\b{ours}\b", TYPES[ours], text)
    return text


def prototype(name, result, arguments):
    for prefix, enumeration in RESULTS.items():
        if name.startswith(prefix) and result == "int":
            result = enumeration
    typed = []
    for argument in arguments:
        ours = argument.split()[-1].lstrip("*")
        enumeration = ENUMERATIONS.get((name, ours))
        is_int = argument.split()[0] == "int"
        typed.append(f"{enumeration} {ours}" if enumeration and is_int else argument)
    return f"{their_type(result)} (*check_{name})({their_type(', '.join(typed))}) = {name};"


def numbers(text):
    body = "".join(re.findall(r"enum \{(.*?)\};", text, flags=re.S))
    return re.findall(r"(\w+) = (\d+)", body)


def program(text):
    lines = ["#include <stddef.h>", "#include <stdint.h>", "#include <cuda.h>",
             "#include <nvrtc.h>", "#include <cublasLt.h>", THEIRS]
    lines += [prototype(*f) for f in functions(text)]
    for name, value in numbers(text):
        if name not in NUMBERS:
            sys.exit(f"{API}: tools/cuda_numbers.py does not know {name}")
        lines.append(f'_Static_assert({NUMBERS[name]} == {value}, "{name}");')
    structs = "".join(re.findall(r"struct blas_\w+ \{.*?\};", text, flags=re.S))
    lines.append(structs)
    pairs = [("struct blas_algorithm", "cublasLtMatmulAlgo_t"),
             ("struct blas_heuristic", "cublasLtMatmulHeuristicResult_t")]
    for ours, theirs in pairs:
        lines.append(f'_Static_assert(sizeof({ours}) == sizeof({theirs}), "{ours}");')
    members = {"algorithm": "algo", "workspace_bytes": "workspaceSize",
               "state": "state", "waves": "wavesCount"}
    for ours, theirs in members.items():
        lines.append(
            f"_Static_assert(offsetof(struct blas_heuristic, {ours}) == "
            f'offsetof(cublasLtMatmulHeuristicResult_t, {theirs}), "{ours}");')
    for enumeration in sorted(set(ENUMERATIONS.values())):
        lines.append(f'_Static_assert(sizeof({enumeration}) == sizeof(int), "");')
    return "\n".join(lines) + "\n"


def compare_types(text, folders):
    with tempfile.TemporaryDirectory() as work:
        for name, content in STUBS.items():
            path = os.path.join(work, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as out:
                out.write(content)
        source = os.path.join(work, "check.c")
        with open(source, "w", encoding="utf-8") as out:
            out.write(program(text))
        command = [os.environ.get("CC", "cc"), "-std=gnu17", "-fsyntax-only",
                   "-Wall", "-Werror", "-Wno-unused", "-Wno-deprecated-declarations",
                   "-Wno-builtin-declaration-mismatch", "-I", work]
        for folder in folders:
            command += ["-isystem", folder]
        done = subprocess.run(command + [source], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr)
        return done.returncode == 0


def compare_symbols(header):
    """Their macros' names against the rows DRIVER(field, "symbol"...)."""
    with open(header, encoding="utf-8") as file:
        text = file.read()
    macros = dict(re.findall(
        r"^\s*#define (cu\w+)\s+(?:__CUDA_API_PTSZ\()?(cu\w+)\)?\s*$", text, re.M))
    with open(LIBRARY, encoding="utf-8") as file:
        rows = re.findall(r'DRIVER\((\w+),\s*((?:"\w+"[,\s]*)+)\)', file.read())
    fine = bool(rows)
    for name, quoted in rows:
        symbols = re.findall(r'"(\w+)"', quoted)
        theirs = macros.get(name, name)
        if theirs not in symbols:
            print(f"{LIBRARY}: {name} is {theirs} in {header}, not {symbols}")
            fine = False
    return fine


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with open(API, encoding="utf-8") as file:
        text = uncommented(file.read())
    fine = True
    for folder in sys.argv[1:]:
        folders, header = find_headers(folder)
        same = compare_types(text, folders)
        same = compare_symbols(header) and same
        print(f"{folder}: {len(functions(text))} functions, {len(numbers(text))} "
              f"numbers: {'as ours' if same else 'different'}")
        fine = fine and same
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
