# A summary or an array can go into a pipe or to an open file. Nothing takes the
# place of what has that name: root would lose /dev/null so.
echo '{"text": "one"}' >one.jsonl
mkfifo pipe
timeout 100 cat pipe >got &
ensembed run one.jsonl --model "$MODELS/mean" --out o --quiet --summary pipe
wait $!
[ -p pipe ]
state() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)["collections"][0]["status"])'
}
state <got
ensembed run one.jsonl --model "$MODELS/mean" --out p --quiet --summary /proc/self/fd/1 | state
ensembed run one.jsonl --model "$MODELS/mean" --out q --quiet --summary /proc/self/fd/1 >file
state <file
# What is printed besides goes behind it.
ensembed run one.jsonl --model "$MODELS/mean" --out s --summary /proc/self/fd/1 >file 2>/dev/null
python3 -c 'import json, sys; text = sys.stdin.read(); end = json.JSONDecoder().raw_decode(text)[1]; print(text[end:].split()[-2:])' <file
timeout 100 cat pipe >got &
ensembed embed --model "$MODELS/mean" one two --npy pipe
wait $!
[ -p pipe ]
wc -c <got
# A folder is neither.
ensembed run one.jsonl --model "$MODELS/mean" --out r --summary o || echo "status $?"
[ ! -e r ]
