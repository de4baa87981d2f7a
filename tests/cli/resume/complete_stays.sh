# A complete set of files is worth more than what a run that lacks a model, or
# loses one on the way, could put in its place: it stays as it is, and is not
# told as of that run.
mkdir c
echo '[{"text":"one"},{"text":"two"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
cp -rp o/c before
fails() {
    status=0
    ensembed run c --model "$MODELS/mean" --model "$1" --dim 16 --out o --no-progress >out 2>err || status=$?
    echo "exit status $status"
    grep computed out | sed 's/ in [0-9.]* s//'
    grep -o "those of an earlier run and stay as they are" err
    grep -c '"artefacts"' o/summary.json || true
    for f in before/*.*; do cmp "$f" "o/c/${f##*/}"; done
    ensembed search o one -k 1 | grep -c one
}
fails org/nowhere
cp -r "$MODELS/cls" broken
echo '{' >broken/tokenizer.json
fails ./broken
# Chunks that came meanwhile are computed and kept.
echo '[{"text":"one"},{"text":"two"},{"text":"three"}]' >c/a_chunks.json
fails org/nowhere
# With the model there all is as if from nothing.
ensembed run c --model "$MODELS/mean" --model "$MODELS/cls" --dim 16 --out o --no-progress 2>err | grep -o "3 texts computed, 3 reused"
ensembed run c --model "$MODELS/mean" --model "$MODELS/cls" --dim 16 --out fresh --quiet 2>err
for f in fresh/c/*.*; do cmp "$f" "o/c/${f##*/}"; done
# What a run without its model wrote is replaced by the next of that kind.
ensembed run c --model "$MODELS/mean" --model org/nowhere --dim 16 --out p --quiet 2>err || echo "exit status $?"
echo '[{"text":"one"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --model org/nowhere --dim 16 --out p --quiet 2>err || echo "exit status $?"
wc -l <p/c/texts.jsonl
# Nor is a set worth keeping of which a file is gone.
ensembed run c --model "$MODELS/mean" --out q --quiet
rm q/c/texts.jsonl
ensembed run c --model "$MODELS/mean" --model org/nowhere --dim 16 --out q --quiet 2>err || echo "exit status $?"
wc -l <q/c/texts.jsonl
