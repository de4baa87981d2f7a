# heavy: sanitizers have larger frames.
# A small stack for the program (ulimit -s, KiB) is enough, and its threads have
# what they need all the same.
awk "BEGIN { for (i = 0; i < 300; i++) print \"{\\\"text\\\": \\\"number \" i \"\\\"}\" }" >many.jsonl
set -- --model "$MODELS/m3" --model "$MODELS/jina3:name=second" --model "$MODELS/gemma3:name=third" --sparse "$MODELS/m3" --fuse concat --threads 3 --quiet --no-progress
ensembed run many.jsonl "$@" --out whole
ensembed search whole/many "number 7" >whole/answer
(
    ulimit -s 16
    ensembed plan many.jsonl "$@" --out o >plan
    ensembed run many.jsonl "$@" --out o
    ensembed search o/many "number 7" >o/answer
    ensembed tokenize --model "$MODELS/m3" many.jsonl >tokens
    echo '"number 7"' | ensembed embed --model "$MODELS/m3" >vector
    ensembed devices >devices
    ensembed doctor >doctor
)
for f in whole/many/*.npy whole/many/points.jsonl; do cmp "$f" "o/many/${f##*/}"; done
cmp whole/answer o/answer
echo same
