# Where the margin is what leaves no room, the remedy is not a ceiling.
echo '{"text": "one"}' >one.jsonl
ensembed run one.jsonl --model "$MODELS/mean" --out o --quiet --margin cpu=1TiB || echo "status $?"
