mkdir c
echo "[{\"text\":\"x\"}]" >c/a_chunks.json
for b in no_weights truncated offset shape missing unexpected dtype; do
    ensembed run c --model "$MODELS/broken_$b" --out o 2>err && exit 9
    sed "s|$MODELS/||" err
done
ensembed run c --model "$MODELS/unsupported" --out o 2>err && exit 9
sed "s|$MODELS/||" err
ensembed run c --model some/model --out o 2>err && exit 9
sed "s|$HOME|HOME|" err
[ ! -e o ]
# what they are, and where they go
for m in splade cross_bert colbert; do
    ensembed run c --model "$MODELS/$m" --out o 2>err && exit 9
    sed "s|$MODELS/||" err
done
# what a model's files say does not speak to the terminal
cp -r "$MODELS/mean" m
chmod u+w m/config.json
sed 's|"bert"|"b\\u001b]0;title\\u0007\\u009b2J"|' "$MODELS/mean/config.json" >m/config.json
ensembed embed x --model m 2>err && exit 9
sed "s|$PWD/||" err
ensembed plan c --model m 2>/dev/null >plan && exit 9
sed -n "s|$PWD/||; /cannot be used/p" plan
# what a plan says of a reranker is its status too
ensembed plan c --model "$MODELS/mean" --rerank m --quiet 2>err >plan && exit 9
sed "s|$PWD/||" err
# a limit that leaves no text is said of a model and its files
cp -r "$MODELS/cls" short
chmod u+w short/tokenizer_config.json
sed 's/"model_max_length": 40/"model_max_length": 1/' "$MODELS/cls/tokenizer_config.json" >short/tokenizer_config.json
ensembed embed x --model short 2>err && exit 9
sed "s|$PWD/||" err
