# A text of which the tokenizer makes nothing has no vector: it is left out,
# alone in its batch too, and named by its chunk.
cp -r "$MODELS/mean" m
sed 's/"post_processor": *{/"post_processor": null, "unused": {/' "$MODELS/mean/tokenizer.json" >m/tokenizer.json
sed -i 's/BertTokenizer/PreTrainedTokenizerFast/' m/tokenizer_config.json
mkdir c
printf '[{"text":"hello"},{"text":"\\u0001","id":"empty"}]' >c/a_chunks.json
ensembed run c --model ./m --out o --quiet || echo $?
ensembed run c --model ./m --out o --quiet || echo $?
wc -l <o/c/points.jsonl
# Where none of a model's texts has one, the model has failed, and the files of
# an earlier run stay.
cp -r o before
printf '[{"text":"\\u0002"},{"text":"\\u0001","id":"empty"}]' >c/a_chunks.json
ensembed run c --model ./m --out o --quiet || echo $?
cmp before/c/points.jsonl o/c/points.jsonl
