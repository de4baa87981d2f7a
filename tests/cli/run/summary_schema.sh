# summary.json, and what it says of a run with everything in it, against the
# published schema.
python=$ROOT/build/venv/bin/python
"$python" -c "import jsonschema" 2>/dev/null || { echo "skip: no jsonschema (tools/test installs it)"; exit 77; }
mkdir -p c/x c/y c/z
echo "[{\"text\":\"one\"},{\"text\":\" \"},{\"text\":\"one\"},{\"text\":5}]" >c/x/a_chunks.json
echo "[{\"text\":\"cut" >c/x/b_chunks.json
echo "[]" >c/y/a_chunks.json
echo "[{\"text\":\"two\"}]" >c/z/a_chunks.json
ensembed run c --model "$MODELS/mean" --model "$MODELS/unsupported" --out o --quiet --collection x --collection y --collection z --collection nope || echo "status $?"
ensembed run c --model "$MODELS/mean" --out o2 --quiet --collection z
ensembed run c --model "$MODELS/mean" --out o2 --quiet --collection z --skip-existing
ensembed run c --model "$MODELS/mean" --model "$MODELS/cls" --fuse concat --out o3 --quiet --collection z --device sim:a=1MiB,sim:b=600000 --mode sequential
ensembed run c --model "$MODELS/mean" --model "$MODELS/cls" --fuse concat --out o4 --quiet --collection z --device sim:a=1MiB
ensembed run c --model "$MODELS/m3" --sparse "$MODELS/m3" --colbert "$MODELS/m3" --out o5 --quiet --collection z --dtype int8
for s in o/summary.json o2/summary.json o3/summary.json o4/summary.json o5/summary.json; do
    "$python" -c "
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))
print(sorted({c[\"status\"] for c in json.load(open(sys.argv[1]))[\"collections\"]}))" $s "$ROOT/docs/summary.schema.json"
done
