# heavy: one run at a time in an output.
awk "BEGIN { for (i = 0; i < 60000; i++) print \"{\\\"text\\\": \\\"number \" i \"\\\"}\" }" >many.jsonl
ensembed run many.jsonl --model "$MODELS/mean:budget=64" --out o --quiet >/dev/null 2>&1 &
pid=$!
while [ ! -s o/many/.ensembed/mean/dense/rows.f32 ]; do sleep 0.02; done
status=0
ensembed run many.jsonl --model "$MODELS/mean" --out o --quiet || status=$?
kill -KILL $pid
exit $status
