# heavy: a signal while a run waits for a lease, reads, and writes what it made.
# (env: sh starts what is in the background with SIGINT ignored.)
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "{\"text\": \"number %d of many\", \"metadata\": {\"n\": %d}}\n", i % 50, i }' >many.jsonl
printf '{"text": "one"}\n' >one.jsonl

tell() { # NAME PID OUT
    status=0
    wait "$2" || status=$?
    echo "$1: exit status $status"
    grep -o '^ "status": "[a-z_]*"' "$3/summary.json"
    grep -o "it goes on" err
}

# It waits for the lease of a card that another process holds.
mkdir -m 1777 locks
: >locks/sim:a.lock
flock locks/sim:a.lock sleep 600 &
holder=$!
while flock -n locks/sim:a.lock true; do sleep 0.02; done
env --default-signal=INT ensembed run one.jsonl --model "$MODELS/mean" --device sim:a=64MiB --margin sim:a=8MiB \
    --lock-dir locks --out waits --quiet 2>err &
pid=$!
until grep -q lease_waiting waits/events.jsonl 2>/dev/null; do sleep 0.02; done
kill -INT $pid
tell "waits for a lease" $pid waits
pkill -P $holder sleep || true
kill $holder 2>/dev/null || true

# It reads: the index of the chunks is there, and no row yet.
ensembed run many.jsonl --model "$MODELS/mean" --out o --no-progress 2>err >out &
pid=$!
until [ -e o/many/.ensembed/scratch/intake-many.ids ]; do sleep 0.01; done
kill -TERM $pid
tell reads $pid o
[ ! -e o/many/.ensembed/mean ]

# It writes points.jsonl.
env --default-signal=INT ensembed run many.jsonl --model "$MODELS/mean" --out o --no-progress 2>err >out &
pid=$!
until [ -s o/many/points.jsonl.part ]; do sleep 0.01; done
kill -INT $pid
tell exports $pid o
[ ! -e o/many/points.jsonl ] && [ ! -e o/many/points.jsonl.part ]
ensembed run many.jsonl --model "$MODELS/mean" --out o --no-progress | grep -o "0 texts computed, 50 reused"
ensembed run many.jsonl --model "$MODELS/mean" --out fresh --quiet
for f in fresh/many/*.*; do cmp "$f" "o/many/${f##*/}"; done
