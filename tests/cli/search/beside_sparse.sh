# Sparse vectors beside dense ones change nothing in a search of the dense ones.
for text in "the quick brown fox" "a lazy dog" "12345"; do
    echo "{\"text\": \"$text\"}"
done >a.jsonl
ensembed run a.jsonl --model "$MODELS/prompts" --out plain --quiet
ensembed run a.jsonl --model "$MODELS/prompts" --sparse qdrant-bm25 \
    --export npy,points,texts,metadata,terms --out both --quiet
ls both/a
ensembed search plain "a quick dog" >plain.txt
ensembed search both --by dense "a quick dog" >both.txt
cmp plain.txt both.txt && grep -c "^[123]\. " both.txt
