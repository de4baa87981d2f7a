# A collection whose rows were made otherwise is refused, and the next one made.
mkdir -p c/x c/y
echo '[{"text":"one"}]' >c/x/a_chunks.json
echo '[{"text":"two"}]' >c/y/a_chunks.json
ensembed run c --collection x --model "$MODELS/mean" --prompt-text "x: " --out o --quiet
sum=$(cat o/x/*.* | sha256sum)
status=0
ensembed run c --model "$MODELS/mean" --out o --no-progress 2>err || status=$?
echo "exit status $status"
grep -c 'prompt' err
grep -o '^   "collection": "[a-z]*"\|^   "status": "[a-z]*"' o/summary.json
[ "$sum" = "$(cat o/x/*.* | sha256sum)" ]
