#!/bin/bash
# Every variant of every CUDA kernel to machine code, under NVRTC 12 and 13, and
# the PTX of attention run at every width.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
cd "$root"
build/venv/bin/python tools/kernel_table.py "${1:-build/gcc/compile_kernels}" --check --all
build/venv/bin/python tests/device/cuda/ptx_kernels.py --all
