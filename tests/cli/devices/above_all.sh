ensembed devices --device sim:small=64MiB --ceiling sim:small=65MiB --json >/dev/null
