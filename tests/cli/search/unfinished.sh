# A collection whose files a run was writing when it was killed is named, and
# where there is no other the exit status says to come again.
mkdir -p c/a c/b
echo '[{"text":"one"}]' >c/a/x_chunks.json
echo '[{"text":"two"}]' >c/b/x_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
rm o/b/stats.json
ensembed search o one 2>&1
sed -i 's/^ "status": "none"/ "status": "running"/' o/summary.json # as while it runs
ensembed search o one 2>&1
ensembed search o one --collection a 2>&1
rm o/a/stats.json
ensembed search o one 2>&1 || echo "exit status $?"
