# A name that the payload has already would hide the text behind it.
echo '{"text": "one"}' >one.jsonl
for field in chunk_id hierarchy_path; do
    ensembed run one.jsonl --model "$MODELS/mean" --out o --text-field $field || echo "status $?"
done
[ ! -e o ]
