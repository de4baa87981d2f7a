# Whoever starts a program with standard streams closed gets files of a run that
# have what belongs in them, and nothing that was meant for a stream.
awk 'BEGIN { for (i = 0; i < 300; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
ensembed run many.jsonl --model "$MODELS/mean" --out fresh --quiet

whole() { # OUT
    for f in fresh/many/*.*; do cmp "$f" "$1/many/${f##*/}"; done
    python3 -c '
import json, sys
json.load(open(sys.argv[1] + "/summary.json"))
for line in open(sys.argv[1] + "/events.jsonl"):
    json.loads(line)' "$1"
    rm -rf "$1"
}
run() {
    status=0
    ensembed run many.jsonl --model "$MODELS/mean" --out o --json "$@" || status=$?
}

run <&- >/dev/null 2>&1
echo "no input: $status" && whole o
run 2>&- >/dev/null
echo "no errors: $status" && whole o
run 2>err >&-
echo "no output: $status, $(tail -n 1 err)" && whole o
run 2>&- >&-
echo "neither: $status" && whole o
run 2>&- >&- <&-
echo "nothing at all: $status" && whole o
ensembed embed --model "$MODELS/mean" --npy x.npy one <&- >&- 2>&-
wc -c <x.npy
ensembed run - --model "$MODELS/mean" --out p <&- >out 2>err || echo "input that is closed: $?, $(tail -n 1 err)"
