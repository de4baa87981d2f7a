#!/bin/bash
# The attention kernels on the CPU: every head_dim, length and feature.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
exec "${1:-$root/build/gcc/test_device_cuda_attention_kernels}" all
