# A second run of the same command computes nothing and touches nothing.
mkdir c
echo "[{\"text\":\"one\"},{\"text\":\"two\"},{\"text\":\"one\"}]" >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
sum=$(cat o/c/*.* | sha256sum)
stat -c "%y %n" o/c/*.* >times
ensembed run c --model "$MODELS/mean" --out o --no-progress
stat -c "%y %n" o/c/*.* | cmp - times
[ "$sum" = "$(cat o/c/*.* | sha256sum)" ]
