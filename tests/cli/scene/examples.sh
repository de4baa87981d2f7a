# heavy: the scene of two T4 with a few chunks.
exec python3 "$ROOT/tests/campaigns/scene" "$(command -v ensembed)" "$ROOT" "$ROOT/examples/chunks" 96
