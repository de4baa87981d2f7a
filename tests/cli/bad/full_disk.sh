# A disk that fills up at any stage: nothing half-written has its final name,
# and with room the same command ends as if nothing had happened.
awk "BEGIN { for (i = 0; i < 3000; i++) print \"{\\\"text\\\": \\\"number \" i \"\\\"}\" }" >many.jsonl
ensembed run many.jsonl --model "$MODELS/mean" --out fresh --quiet
for kib in 100 300 500 700 900 1500; do
    (ulimit -f $kib; ensembed run many.jsonl --model "$MODELS/mean" --out o --quiet --no-progress 2>>err) && echo "done with $kib" || [ $? = 75 ]
    for f in o/many/*.*; do [ ! -e "$f" ] || cmp "$f" "fresh/many/${f##*/}"; done
done
grep -c "no space left" err >/dev/null
ensembed run many.jsonl --model "$MODELS/mean" --out o --quiet --no-progress
for f in fresh/many/*.*; do cmp "$f" "o/many/${f##*/}"; done
echo same
# With --restart the same command would begin anew.
(ulimit -f 300; ensembed run many.jsonl --model "$MODELS/mean" --out r --restart --quiet --no-progress 2>err) || echo "exit status $?"
grep -o "run the same command.*" err
grep -o "<p>The same command[^:]*" r/report.html
# Of embed nothing is kept, and nothing says so.
seq 99 | sed 's/.*/"number &"/' >texts.jsonl
(ulimit -f 4; ensembed embed --model "$MODELS/mean" --npy v.npy <texts.jsonl 2>err) || echo "exit status $?"
sed 's/.*greatest/greatest/' err
ls v.npy* 2>/dev/null || echo nothing
