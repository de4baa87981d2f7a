# Metadata is carried as it came: numbers that fit nowhere, a NUL in a key, the
# deepest nesting there may be. Search finds text and id beside it; a NUL in a
# text or an id ends neither.
deep=$(printf '[%.0s' $(seq 990))$(printf ']%.0s' $(seq 990))
cat >c.jsonl <<END
{"text":"alpha number","metadata":{"chunk_id":"a","source_file":"a.md","n":123456789012345678901234567890}}
{"text":"beta number","metadata":{"chunk_id":"b","source_file":"b.md","n":1e400}}
{"text":"gamma key","metadata":{"chunk_id":"c","source_file":"c.md","\u0000":1}}
{"text":"delta deep","metadata":{"chunk_id":"d","source_file":"d.md","n":$deep}}
{"text":"be\u0000fore and behind","metadata":{"chunk_id":"e\u0000f","source_file":"e.md"}}
END
show() {
    ensembed search o number -k 5 --json | python3 -c '
import json, sys
for hit in sorted(json.load(sys.stdin)["hits"], key=lambda hit: hit["row"]):
    print([hit[key] for key in ("chunk_id", "source_file", "text")])'
}
ensembed run c.jsonl --model "$MODELS/mean" --out o --quiet
show
rm -r o
ensembed run c.jsonl --model "$MODELS/mean" --out o --quiet --export npy,texts
show
ensembed search o number -k 5 | grep -a -c "be fore and behind"
