# The plan as people read it.
mkdir -p c/x
echo '[{"text": "one"}, {"text": "one"}, {"text": ""}]' >c/x/a_chunks.json
ensembed plan c --model "$MODELS/mean" --model "$MODELS/static_table" --fuse concat --sparse qdrant-bm25 --device sim:a=64MiB --ceiling sim:a=32MiB
