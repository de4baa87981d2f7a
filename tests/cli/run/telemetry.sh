# What a run under pressure leaves beside its collections, judged by programs
# that are not ours: events by their schema, metrics by Prometheus' parser; and
# that the report is a whole page in which nothing can act.
python=$ROOT/build/venv/bin/python
"$python" -c "import jsonschema, prometheus_client" 2>/dev/null ||
    { echo "skip: no jsonschema or prometheus_client (tools/test installs them)"; exit 77; }
mkdir -p "c/<b>x&" c/y
i=0
while [ $i -lt 200 ]; do
    echo "{\"text\":\"chunk number $i of a text that is somewhat longer\"}"
    i=$((i + 1))
done >"c/<b>x&/a.jsonl"
echo "[{\"text\":\"one\"},{\"text\":\" \"},{\"text\":5}]" >c/y/a_chunks.json
cat >script.jsonl <<EOF
{"device": "sim:t4-0", "at_submit": 1, "take_bytes": 15700000000}
{"device": "sim:t4-0", "at_submit": 6, "give_bytes": 15700000000}
{"device": "sim:t4-1", "at_submit": 2, "fail": "alloc"}
{"device": "sim:t4-1", "at_submit": 5, "fail": "lost"}
EOF
for mode in exclusive sequential simultaneous; do
    ensembed run c --model "$MODELS/mean:name=one" --model "$MODELS/matryoshka:name=two" \
        --dim 8 --device sim:t4x2 --mode $mode --sim-script script.jsonl --out $mode --quiet ||
        echo "status $?"
    "$python" "$ROOT/tests/run/events.py" --file $mode/events.jsonl
    "$python" "$ROOT/tests/run/metrics.py" --file $mode/metrics.prom
    "$python" "$ROOT/tests/run/report.py" --file $mode/report.html
done
