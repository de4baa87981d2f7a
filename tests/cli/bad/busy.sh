# One run at a time in an output, also when the two are for different
# collections: summary, events and report are one run's.
mkdir -p c/x c/y
echo '[{"text":"one"}]' >c/x/a_chunks.json
echo '[{"text":"two"}]' >c/y/a_chunks.json
mkfifo pipe
exec 3<>pipe
ensembed run - --as x --model "$MODELS/mean" --out o --quiet <pipe >/dev/null 2>&1 &
pid=$!
trap 'kill -KILL $pid || true' EXIT # wherever this ends
while [ ! -s o/summary.json ]; do
    kill -0 $pid
    sleep 0.02
done
cp o/summary.json its
[ "$(cat o/.ensembed/lock)" = "$pid $(uname -n)" ]
status=0
ensembed run c --collection y --model "$MODELS/mean" --out o --quiet || status=$?
cmp o/summary.json its
[ ! -e o/y ]
# Another output is free, and the lock goes with its holder.
ensembed run c --model "$MODELS/mean" --out p --quiet
kill -KILL $pid
trap - EXIT
wait $pid 2>/dev/null || true
ensembed run c --model "$MODELS/mean" --out o --quiet
# The holder may be on another machine; what is not a number and a host's name
# is not repeated.
for note in '4711 node-17.cluster' "4711 $(uname -n)" '4711' '' '-1 node' '99999999999999999999 node' '4711 ' \
    '4711 two words' "$(printf '4711 \033[31mred')" "4711 $(printf '%0100d' 0)" "$(printf '4711 node\nmore')" 'node 4711'; do
    printf '%s\n' "$note" >o/.ensembed/lock
    flock o/.ensembed/lock sh -c '
        ensembed run c --model "$MODELS/mean" --out o --quiet || [ $? = 75 ]'
done
exit $status
