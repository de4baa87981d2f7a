# BM25 alone needs no model and no device, and gives fastembed's numbers
# (tests/fixtures/text/bm25.json); a text without a word has an empty row, which
# is counted and is no failure. A dense model added later is one pass more, and
# neither is computed again when the other comes or goes.
cat >c.jsonl <<'END'
{"text":"You should stay, study and sprint."}
{"text":"History can only prepare us to be surprised yet again."}
{"text":"..."}
{"text":"You should stay, study and sprint."}
END
ensembed run c.jsonl --sparse qdrant-bm25 --out o --no-progress
ls o/c
grep -o '"vector":{[^}]*}}*' o/c/points.jsonl
grep -o '"empty_sparse": [0-9]*' o/summary.json
cp o/c/qdrant-bm25.sparse.npz first.npz
ensembed run c.jsonl --model "$MODELS/mean" --sparse Qdrant/BM25 --out o --no-progress
cmp first.npz o/c/qdrant-bm25.sparse.npz
ensembed run c.jsonl --model "$MODELS/mean" --out alone --quiet
cmp alone/c/embeddings.npy o/c/embeddings.npy
ls o/c
ensembed run c.jsonl --sparse qdrant-bm25:name=words --out o2 --quiet
ls o2/c
! ensembed run c.jsonl --sparse qdrant-bm25:dim=3 --out o3
! ensembed run c.jsonl --sparse qdrant-bm25 --sparse qdrant-bm25 --out o3
! ensembed run c.jsonl --sparse qdrant-bm25:name=m --model "$MODELS/mean:name=m-sparse" --out o3
