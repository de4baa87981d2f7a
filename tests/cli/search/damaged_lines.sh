# A line that a run did not write is said with its file; a hit without a text
# would look like an answer. What the message says to do helps. Points whose
# offsets were left behind are found by counting.
mkdir c
for text in one two three four; do
    echo "{\"text\": \"$text\"}"
done >c/a_chunks.jsonl
run() {
    ensembed run c --model "$MODELS/mean" --out o --quiet
}
search() {
    ensembed search o one -k 1 2>&1 || echo "exit status $?"
}
run
search
rm o/c/.ensembed/points.offsets
search
damage() { # FILE
    LC_ALL=C sed -i 's/"one"/"o\xff"/' "$1"
    search
    rm "$1"
}
damage o/c/points.jsonl
search
damage o/c/texts.jsonl
search
run
search
head -n 2 o/c/points.jsonl >cut
mv cut o/c/points.jsonl
ensembed search o four -k 1 2>&1 || echo "exit status $?"

# What the system refuses to read is not called damaged: it need not be deleted.
# (Bytes at address 0 are refused to everybody; unmappable.sh has the texts.)
run
ln -sf /proc/self/mem o/c/.ensembed/points.offsets
search

# Control characters of a chunk stay out of the terminal.
printf '{"text": "a\\u009bb\\u001b[1mc\\nd"}\n' >odd.jsonl
ensembed run odd.jsonl --model "$MODELS/mean" --out odd --quiet
ensembed search odd a -k 1 | tail -n 2
