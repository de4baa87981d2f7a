# Broken files cost themselves; the rest is embedded.
mkdir c
printf "[{\"text\":\"whole\"},{\"text\":\"cut o" >c/a_chunks.json
printf "[{\"text\":\"bad \377 byte\"}]" >c/b_chunks.json
printf "[{\"text\":\"lone \\\\ud800 one\",\"metadata\":{\"n\":1e400,\"x\":0.10,\"chunk_id\":\"i\"}},{\"text\":\"same id\",\"metadata\":{\"chunk_id\":\"i\"}}]" >c/c_chunks.json
# Other people's files, by the names of ours.
printf 'id,text\n1,one\n' >c/d_chunks.json
printf '%%PDF-1.4\n' >c/e_chunks.json
ensembed run c --model "$MODELS/mean" --out o --no-progress || echo "status $?"
cat o/c/metadata.jsonl o/c/texts.jsonl
grep -o "\"chunk_id\":\"i[^\"]*\"" o/c/points.jsonl
