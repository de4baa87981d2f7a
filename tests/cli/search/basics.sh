mkdir -p c/x c/y
echo "[{\"text\":\"the quick brown fox\",\"metadata\":{\"chunk_id\":\"fox\",\"source_file\":\"a.md\"}},{\"text\":\"12345\"}]" >c/x/a_chunks.json
echo "[{\"text\":\"a lazy dog\",\"metadata\":{\"chunk_id\":\"dog\"}}]" >c/y/a_chunks.json
ensembed run c --model "$MODELS/prompts" --out o --quiet --prompt-text ""
ensembed search o "the quick brown fox" -k 1 --json | grep -o "\"\(chunk_id\|text\|source_file\|collection\)\": \"[^\"]*\""
ensembed search o "a lazy dog" -k 1 --collection x | head -n 1 | cut -d " " -f 4
ensembed search o/y "anything" -k 5 | grep -c "dog"
# Relative paths of models are found from elsewhere.
cd c && ensembed search ../o "fox" -k 1 >/dev/null
ensembed search nothere "fox"
