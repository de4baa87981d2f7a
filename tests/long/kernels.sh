#!/bin/bash
# Every variant of every CUDA kernel to machine code, under NVRTC 12 and 13.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
cd "$root"
build/venv/bin/python tools/kernel_table.py "${1:-build/gcc/compile_kernels}" --check --all
