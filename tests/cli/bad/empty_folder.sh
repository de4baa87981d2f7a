mkdir c
ensembed run c --model "$MODELS/mean" --out o
