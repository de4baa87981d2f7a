# A model that fails in the middle of its pass costs itself, in every mode: the
# others are exported under their names, and nothing is fused.
mkdir c
i=0
while [ $i -lt 40 ]; do
    echo "{\"text\": \"number $i of many\"}"
    i=$((i + 1))
done >c/a.jsonl
echo '{"text": "and the last of them"}' >>c/a.jsonl
# An id that the model has no row for: known only when that text is encoded.
cp -r "$MODELS/mean" sick
sed 's/"the": *[0-9]*/"the": 9999/' "$MODELS/mean/tokenizer.json" >sick/tokenizer.json
# And one that is known when the pass begins.
cp -r "$MODELS/mean" broken
echo '{' >broken/tokenizer.json
ensembed run c --model "$MODELS/relu" --out fresh --quiet
for mode in exclusive sequential simultaneous; do
    for model in sick broken; do
        out=$mode-$model
        status=0
        ensembed run c --model "$MODELS/relu" --model ./$model:budget=64 --model "$MODELS/cls" --dim 16 \
            --mode $mode --out $out --quiet 2>err || status=$?
        grep -q "model $model: " err
        cmp fresh/c/embeddings.npy $out/c/relu.npy
        # Collection and one pass have failed, with the model's name.
        echo "$out: $status, $(grep -c '"status": "failed"' $out/summary.json) failed, $(grep -c '"status": "completed"' $out/summary.json) completed: $(cd $out/c && echo *.npy)"
        grep -A 4 '^   "error"' $out/summary.json | grep -o '"model": "[a-z]*"'
    done
done
# What failed is told once, where it did, with the collection's name.
mkdir -p two/x two/y two/z
echo '{"text": "one"}' >two/x/a.jsonl
for collection in y z; do echo "{\"text\": \"the last of $collection\"}" >two/$collection/a.jsonl; done
for more in "" "--model $MODELS/cls"; do
    # shellcheck disable=SC2086
    ensembed run two --model ./sick $more --dim 16 --out two-out --quiet 2>err || echo "exit status $?"
    sed '/warning:/d; s/: [^ ]*: its tokenizer gives.*//' err
done
# And so is what fails behind it.
mkdir -p two-out/y/texts.jsonl.part
ensembed run two --collection y --collection z --model ./sick --model "$MODELS/cls:name=other" --dim 16 --out two-out --quiet 2>err ||
    echo "exit status $?"
sed '/warning:/d; s/: [^ ]*: its tokenizer gives.*//' err
# With the model mended only its pass is made, and all is as if from nothing.
cp "$MODELS/mean/tokenizer.json" broken/
three="--model $MODELS/relu --model ./broken --model $MODELS/cls --dim 16"
# shellcheck disable=SC2086
ensembed run c $three --out sequential-broken --no-progress 2>err |
    grep -o '41 texts computed, 82 reused'
# shellcheck disable=SC2086
ensembed run c $three --out fresh3 --quiet 2>err
for f in fresh3/c/*.*; do cmp "$f" "sequential-broken/c/${f##*/}"; done
# The sick one left rows of another tokenizer: those are not taken for its own.
cp "$MODELS/mean/tokenizer.json" sick/
ensembed run c --model ./sick --out sequential-sick --quiet 2>err || echo "exit status $?"
grep -c tokenizer err
# A model beside others of which nothing is fused: the same command has still
# something to do, and says so every time, whatever --skip-existing leaves alone.
echo '{' >broken/tokenizer.json
for more in "" "" --skip-existing; do
    # shellcheck disable=SC2086
    ensembed run c --model ./broken --sparse qdrant-bm25 $more --out beside --no-progress 2>err >said ||
        echo "$(head -n 1 said), exit status $?: $(cd beside/c && echo *.np?)"
done
cp "$MODELS/mean/tokenizer.json" broken/
ensembed run c --model ./broken --sparse qdrant-bm25 --out beside --no-progress | sed -n 's/ in .*:/:/p'
(cd beside/c && echo *.np?)
