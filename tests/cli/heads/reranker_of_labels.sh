# A classifier of several labels is no reranker: the run says so, not the search
# next morning. The vectors are made all the same.
echo '{"text": "one"}' >one.jsonl
ensembed run one.jsonl --model "$MODELS/mean" --rerank "$MODELS/cross_labels" --out out --quiet || echo "exit status $?"
ls out/one/embeddings.npy
