#!/bin/bash
# Every real chunk's vector against sentence-transformers' in float32, and every
# token id against `tokenizers`, where torch and sentence-transformers can be
# imported: by build/venv, or by the interpreter that ENS_TORCH_PYTHON names.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
program=$(realpath "${1:-$root/build/gcc/ensembed}")
model=$root/build/models/all-MiniLM-L6-v2
python=${ENS_TORCH_PYTHON:-$root/build/venv/bin/python}
chunks=$root/../shared/data/chunks
[ -d "$chunks" ] || { echo "skip: no ../shared/data/chunks; taking examples/chunks"; chunks=$root/examples/chunks; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$root/build/venv/bin/python" "$root/tools/tokenizer_oracle.py" --model "$model" \
    --command "$program tokenize --model {model}" --chunks "$chunks" --count 50000 \
    --limit 256 --variant "as it is" --variant cased

"$python" -c 'import torch, sentence_transformers' 2>/dev/null || {
    echo "skip: vectors: $python has no torch and sentence-transformers (pip install torch sentence-transformers)"
    exit 0
}
"$program" run "$chunks" --model "$model" --out "$work/out" --quiet --no-progress
"$python" "$root/tools/parity.py" "$model" "$work/out"
