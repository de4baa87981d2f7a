# A table of weights whose tokenizer is not the transformer's is refused; what a
# tokenizer's last call had set is saved with it and is no difference.
cp -r "$MODELS/splade_static" model
echo '{"text": "a list of keys"}' >c.jsonl
table=model/query_0_SparseStaticEmbedding/tokenizer.json
sed -i 's/"truncation": null/"truncation": {"max_length": 8, "strategy": "LongestFirst", "direction": "Right", "stride": 0}/' $table
! cmp -s $table model/document_0_Transformer/tokenizer.json
ensembed run c.jsonl --sparse model --out same --quiet >/dev/null
ensembed search same 'which list of keys' --json | grep -c '"chunk_id"'
sed -i 's/"other":/"an other":/' $table
ensembed run c.jsonl --sparse model --out other --quiet
