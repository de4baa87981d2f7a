# DeBERTa masks tokens that nobody attends to in both directions; a question
# filled up with such is refused, not asked otherwise.
cp -r "$MODELS/deberta" model
rm -rf model/*_Pooling model/modules.json
mkdir -p model/1_Mask model/2_Unit
base=sentence_transformers.base.modules
cat >model/modules.json <<END
[{"idx": 0, "name": "0", "path": "", "type": "$base.transformer.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Mask",
  "type": "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"},
 {"idx": 2, "name": "2", "path": "2_Unit", "type": "$base.normalize.Normalize"}]
END
echo '{}' >model/1_Mask/config.json
echo '{"module_input_name": "token_embeddings"}' >model/2_Unit/config.json
echo '{"model_type": "MultiVectorEncoder", "prompts": {}}' >model/config_sentence_transformers.json
echo '{"text": "a list of keys"}' >c.jsonl
for attend in true false; do
    echo '{"max_seq_length": 14, "query_expansion": {"strategy": "fixed", "length": 12, "attend": '$attend'}}' >model/sentence_bert_config.json
    ensembed run c.jsonl --colbert model --out $attend --quiet >/dev/null
    ensembed search $attend 'which keys' --json | grep -c '"chunk_id"'
done
