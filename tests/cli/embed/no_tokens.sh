# A text of which the model's tokenizer leaves nothing is an error that counts
# it, alone and behind a text that has a vector.
cp -r "$MODELS/electra_small" bare
sed -i 's/"post_processor": {/"post_processor": null, "unused": {/' bare/tokenizer.json
ensembed embed --model bare "a text" | grep -q '^\[.*\]$'
for texts in '""' '"a text"
""'; do
    status=0
    echo "$texts" | ensembed embed --model bare >out 2>error || status=$?
    [ $status -eq 1 ]
    cat error >&2
done
