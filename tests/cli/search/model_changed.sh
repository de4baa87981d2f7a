# A question is asked to what made the rows: a model whose files changed since
# is refused, whatever of it changed.
mkdir c
echo '[{"text":"one"},{"text":"two"}]' >c/a_chunks.json
cp -rL "$MODELS/mean" m
chmod -R u+w m
cp -r m kept
ensembed run c --model ./m --out o --quiet
asks() {
    status=0
    ensembed search o one -k 1 2>&1 || status=$?
    echo "exit status $status"
    cp kept/*.* m/
    cp kept/1_Pooling/* m/1_Pooling/
}
asks
size=$(stat -c %s m/model.safetensors)
printf '\0' | dd of=m/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
asks
sed -i 's/"one"/"0ne"/; s/"two"/"tw0"/; s/"##e"/"##\\u00e9"/' m/tokenizer.json
asks
sed -i 's/"pooling_mode_mean_tokens": true/"pooling_mode_mean_tokens": false/; s/"pooling_mode_cls_token": false/"pooling_mode_cls_token": true/' m/1_Pooling/config.json
asks
cp "$MODELS/max_pooling/modules.json" m/ # without Normalize
asks
