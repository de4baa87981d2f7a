# The array of a model that is not asked for any more stays while its rows are
# those of the new files. Where one of both left a chunk out, its row would be
# another chunk's: it goes, and its rows are kept.
cp -r "$MODELS/mean" m # makes no token of a control character
sed 's/"post_processor": *{/"post_processor": null, "unused": {/' "$MODELS/mean/tokenizer.json" >m/tokenizer.json
sed -i 's/BertTokenizer/PreTrainedTokenizerFast/' m/tokenizer_config.json
mkdir c
printf '[{"text":"\\u0001","id":"empty"},{"text":"one"},{"text":"two"}]' >c/a_chunks.json

run() { # MODEL...
    for model; do
        set -- "$@" --model "$model"
        shift
    done
    ensembed run c "$@" --fuse concat --out o --quiet 2>err || true
    grep -o "o/c/.* is not part of .*\|the rows of .* cannot be kept" err || true
    for array in o/c/*.npy; do
        echo "$array $(grep -a -o "'shape': ([0-9]*" "$array" | cut -d '(' -f 2) rows"
    done
    echo
}
run "$MODELS/plain" "$MODELS/cls"
run "$MODELS/plain"
cp -r c c.before
echo '[{"text":"three"}]' >c/b_chunks.json
run "$MODELS/plain"
rm -r c o
mv c.before c
run "$MODELS/plain" ./m
run "$MODELS/plain"
run "$MODELS/plain" "$MODELS/cls"
run "$MODELS/plain" ./m
