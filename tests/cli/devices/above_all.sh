ensembed devices --device sim:small=64MiB --ceiling sim:small=65MiB --json >/dev/null
# A run's ceiling of the processor, too.
ensembed embed --model "$MODELS/mean" fox --device cpu --ceiling cpu=999TiB --quiet 2>&1 >/dev/null |
    sed 's/([0-9]*)/(SO MANY)/' >&2
