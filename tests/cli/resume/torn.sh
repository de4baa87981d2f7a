# heavy: what a kill or a crash of the machine left at the ends of a store's
# files costs those rows and nothing else: the same bytes at the end.
awk 'BEGIN { for (i = 0; i < 600; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
# The card takes so long over the 40th batch that the kill comes between. (One
# thread has one lane, and a batch is one submit.)
echo '{"device": "sim:a", "at_submit": 40, "delay_ms": 60000}' >slow.jsonl
ensembed run many.jsonl --model "$MODELS/mean" --out fresh --quiet
ensembed run many.jsonl --model "$MODELS/mean:budget=128" --device sim:a=64MiB --margin sim:a=8MiB \
    --lock-dir locks --sim-script slow.jsonl --threads 1 --out half --quiet >/dev/null 2>&1 &
pid=$!
store=many/.ensembed/mean/dense
until [ "$(grep -c batch_completed half/events.jsonl 2>/dev/null)" -ge 39 ]; do sleep 0.02; done 2>/dev/null
kill -KILL $pid
wait $pid 2>/dev/null || true
rows=$(($(stat -c %s half/$store/digests) / 32))
[ $rows -gt 80 ] && [ $rows -lt 600 ]

go() { # OUT; prints how many rows were used again, of those that were there
    ensembed run many.jsonl --model "$MODELS/mean" --out "$1" --no-progress 2>err >out
    reused=$(sed -n 's/.* texts computed, \([0-9]*\) reused.*/\1/p' out)
    grep -q "$((600 - reused)) texts computed, $reused reused" out
    for f in fresh/many/*.*; do cmp "$f" "$1/many/${f##*/}"; done
    if [ "$reused" = $rows ]; then
        echo "all reused"
    elif [ "$reused" = 0 ]; then
        echo "none reused"
    else
        echo "the end computed again"
        grep -o "were not whole" err
    fi
}

cp -r half whole
echo "untouched: $(go whole)"
for file in rows.f32 digests journal; do
    size=$(stat -c %s half/$store/$file)
    cp -r half cut
    truncate -s $((size - 5)) cut/$store/$file
    echo "$file cut: $(go cut)"
    cp -r half garbage
    head -c 777 /dev/urandom >>garbage/$store/$file
    echo "$file with garbage behind it: $(go garbage)"
    cp -r half changed
    printf '\252\125\252\125' | dd of=changed/$store/$file bs=1 seek=$((size - 9)) conv=notrunc 2>/dev/null
    echo "$file changed near its end: $(go changed)"
    cp -r half zeros
    dd if=/dev/zero of=zeros/$store/$file bs=1 count=$((size / 2)) seek=$((size - size / 2)) conv=notrunc 2>/dev/null
    echo "$file with zeros for its second half: $(go zeros)"
    cp -r half empty
    : >empty/$store/$file
    echo "$file empty: $(go empty)"
    rm -rf cut garbage changed zeros empty
done
# Without store.json nobody knows what made the rows.
rm half/$store/store.json
echo "no store.json: $(go half)"
