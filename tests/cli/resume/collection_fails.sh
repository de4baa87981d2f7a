# A collection that fails does not stop the next one; both stand in the summary.
mkdir -p c/x c/y c/z
echo '[{"text":"one"}]' >c/x/a_chunks.json
echo '[{"text":"two"}]' >c/y/a_chunks.json
echo '[{"text":"three"}]' >c/z/a_chunks.json
mkdir o
echo "in the way" >o/y
status=0
ensembed run c --model "$MODELS/mean" --out o --no-progress || status=$?
grep -o '^   "collection": "[a-z]*"\|^   "status": "[a-z]*"' o/summary.json
grep -c '"code": "io"' o/summary.json
echo "exit status $status"
rm o/y
ensembed run c --model "$MODELS/mean" --out o --no-progress
