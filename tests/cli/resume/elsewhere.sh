# Rows that were computed elsewhere than planned are named by every later run
# that still uses them.
awk 'BEGIN { for (i = 0; i < 400; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
echo '{"device": "sim:a", "at_submit": 12, "fail": "lost"}' >lost.jsonl
: >fine.jsonl
go() { # SCRIPT; prints how many rows are named
    ensembed run many.jsonl --model "$MODELS/mean:budget=128" --device sim:a=64MiB --margin sim:a=8MiB \
        --lock-dir locks --sim-script "$1" --out o --no-progress 2>err >out
    sed -n 's/^ *"elsewhere": \([0-9]*\),/\1/p' o/summary.json
}
first=$(go lost.jsonl)
cpu=$(grep batch_completed o/events.jsonl | grep '"device":"cpu"' | sed 's/.*"texts":\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n }')
[ "$first" = "$cpu" ] && [ "$cpu" -gt 100 ] && [ "$cpu" -lt 400 ]
[ "$(go fine.jsonl)" = "$cpu" ]
echo "unchanged: the same rows are named"
echo '{"text": "one more"}' >>many.jsonl
[ "$(go fine.jsonl)" = "$cpu" ]
grep -o "1 text computed, 400 reused" out
echo '{"text": "number 0 of many"}' >many.jsonl
now=$(go fine.jsonl)
[ "$now" -le 1 ]
echo "only rows in use are named"
ensembed run many.jsonl --model "$MODELS/mean" --out o --restart --quiet
grep -c '"elsewhere": 0' o/summary.json
