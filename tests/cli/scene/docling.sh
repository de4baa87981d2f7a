# heavy: the scene of two T4 with 738 real chunks.
chunks=$ROOT/../shared/data/chunks/Docling
[ -d "$chunks" ] || { echo "skip: no ../shared/data/chunks/Docling"; exit 77; }
exec python3 "$ROOT/tests/campaigns/scene" "$(command -v ensembed)" "$ROOT" "$chunks" 512
