# What the transformer's own file gives the tokenizer's constructor goes before
# the tokenizer's files, for the side that questions are filled up on.
type=sentence_transformers
cp -r "$MODELS/mean" model
mkdir model/1_Mask model/2_Normalize
echo '{"skiplist_words": []}' >model/1_Mask/config.json
echo '{"module_input_name": "token_embeddings"}' >model/2_Normalize/config.json
cat >model/modules.json <<END
[{"name": "0", "path": "", "type": "$type.models.Transformer"},
 {"name": "1", "path": "1_Mask", "type":
  "$type.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"},
 {"name": "2", "path": "2_Normalize", "type": "$type.models.Normalize"}]
END
echo '{"model_type": "MultiVectorEncoder"}' >model/config_sentence_transformers.json
echo '{"text": "a list of keys"}' >c.jsonl

ask() { # KEY SIDE: the transformer's file, then a run and a search
    echo "{\"max_seq_length\": 48, \"$1\": {\"padding_side\": \"$2\"},
 \"query_expansion\": {\"strategy\": \"fixed\", \"length\": 12}}" \
        >model/sentence_bert_config.json
    rm -rf out
    ensembed run c.jsonl --colbert model --out out --quiet >/dev/null || return
    ensembed search out 'which keys' --json | grep -c '"chunk_id"'
}
ask tokenizer_args right
echo '{"padding_side": "left", "mask_token": "[MASK]"}' >model/tokenizer_config.json
ask processor_kwargs right
ask tokenizer_args up || true
echo '{"mask_token": "[MASK]"}' >model/tokenizer_config.json
ask processor_kwargs left || true
ask tokenizer_args left || true
