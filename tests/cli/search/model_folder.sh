# A model that was named by a relative folder is found from anywhere.
mkdir c elsewhere
echo '[{"text":"one"}]' >c/a_chunks.json
cp -r "$MODELS/mean" m
ensembed run c --model ./m --out o --quiet
cd elsewhere
ensembed search ../o one -k 1 | head -1
