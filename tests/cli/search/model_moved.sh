# The folder of a model that made the rows has moved: what the message says to
# do helps, and computes nothing.
mkdir c
echo '[{"text":"one"}]' >c/a_chunks.json
cp -r "$MODELS/mean" m
ensembed run c --model m --out o --quiet
mv m m2
ensembed search o one 2>err || echo "exit status $?"
grep -o "o/c was made by the model in the folder .*/m, which is not there any more" err
ensembed run c --model m2:name=m --out o | tail -n 2 | cut -d : -f 2- | head -n 1
ensembed search o one -k 1 | head -n 1
