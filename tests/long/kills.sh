#!/bin/bash
# 200 kills at random moments, over all modes and kinds of devices.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
"$root/tests/campaigns/kills" "${1:-$root/build/gcc/ensembed}" "$root/tests/fixtures/models" 200
