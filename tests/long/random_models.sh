#!/bin/bash
# Random models, tokenizers, heads and texts against sentence-transformers in float32, where
# torch and sentence-transformers can be imported: by build/venv, or by the
# interpreter that ENS_TORCH_PYTHON names. ENS_SEEDS says which (0-199).
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
program=$(realpath "${1:-$root/build/gcc/ensembed}")
python=${ENS_TORCH_PYTHON:-$root/build/venv/bin/python}
"$python" -c 'import torch, sentence_transformers' 2>/dev/null || {
    echo "skip: $python has no torch and sentence-transformers (pip install torch sentence-transformers)"
    exit 0
}
status=0
"$python" "$root/tools/random_models.py" "$program" --seeds "${ENS_SEEDS:-0-199}" || status=1
"$python" "$root/tools/random_tokenizers.py" "$program" --seeds "${ENS_SEEDS:-0-199}" || status=1
for head in modules sparse multi rerank; do
    "$python" "$root/tools/random_heads.py" "$program" --head "$head" \
        --seeds "${ENS_SEEDS:-0-199}" || status=1
done
exit $status
