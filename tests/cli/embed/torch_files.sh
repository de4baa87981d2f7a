# The same weights as torch saves them give the same bits: shards, one file in
# the format of before torch 1.6, and a Dense module's; some matrices transposed.
torch=$ROOT/tests/fixtures/torch
vectors() { ensembed embed --model "$1" "a text" "Ein anderer Text, etwas länger" >"$2"; }

cp -r "$MODELS/sharded" shards
rm shards/*.safetensors shards/*.safetensors.index.json
cp -r shards one
cp "$torch/shards/"* shards
cp "$torch/one/"* one
cp -r "$MODELS/dense" dense
rm dense/2_Dense/model.safetensors
cp "$torch/dense/"* dense/2_Dense

vectors "$MODELS/sharded" safetensors.json
vectors shards shards.json
vectors one one.json
cmp safetensors.json shards.json
cmp safetensors.json one.json
vectors "$MODELS/dense" safetensors.json
vectors dense dense.json
cmp safetensors.json dense.json

# safetensors are taken where both are there
echo broken >dense/pytorch_model.bin
vectors dense dense.json
cmp safetensors.json dense.json
