# The reranker that a run names is each later search's, wherever its summary
# went, until a run without one; other people's summaries say nothing.
printf '{"text":"one"}\n{"text":"two"}\n' >c.jsonl
asks() { # OPTIONS...
    ensembed search "$@" one --json | grep reranked_by
}
mkdir a
ensembed run c.jsonl --model "$MODELS/mean" --rerank "$MODELS/cross_bert" --out a/o --summary elsewhere --quiet
asks a/o
asks a/o/c
asks a/o --no-rerank
echo '{"rerank": {"reference": "nowhere", "key": "no"}' >a/summary.json
ensembed run c.jsonl --model "$MODELS/mean" --out a/o --summary elsewhere --quiet
asks a/o
