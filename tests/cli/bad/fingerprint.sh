mkdir c
echo "[{\"text\":\"x\"}]" >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
sum=$(cat o/c/*.* | sha256sum)
ensembed run c --model "$MODELS/mean" --out o --quiet --prompt-text "x: " && exit 9 || echo "status $?"
ensembed run c --model "$MODELS/relu:name=mean" --out o --quiet && exit 9 || echo "status $?"
[ "$sum" = "$(cat o/c/*.* | sha256sum)" ]
ensembed run c --model "$MODELS/mean" --out o --quiet --prompt-text "x: " --restart
