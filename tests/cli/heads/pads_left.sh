# Questions that upstream fills up in front are refused, not asked otherwise.
cp -r "$MODELS/colbert" model
echo '{"text": "a list of keys"}' >c.jsonl
ensembed run c.jsonl --colbert model --out right --quiet >/dev/null
ensembed search right 'which keys' --json | grep -c '"chunk_id"'
echo '{"padding_side": "left", "mask_token": "[MASK]"}' >model/tokenizer_config.json
ensembed run c.jsonl --colbert model --out left --quiet >/dev/null
ensembed search left 'which keys'
