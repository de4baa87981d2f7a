# heavy: a text of 100 MB is cut at the limit and counted.
awk "BEGIN { printf \"{\\\"text\\\": \\\"\"; for (i = 0; i < 3900000; i++) printf \"lorem ipsum dolor sit amet \"; print \"\\\"}\"; print \"{\\\"text\\\": \\\"small\\\"}\" }" >big.jsonl
ensembed run big.jsonl --model "$MODELS/mean" --out o --no-progress --export npy
grep -o "\"truncated\": 1" o/summary.json | head -n 1
# Its array may fit below a ceiling under which its lines do not.
head -c 20000000 big.jsonl >less.jsonl
echo '"}' >>less.jsonl
ensembed run less.jsonl --model "$MODELS/mean" --out p --quiet --export npy --ceiling cpu=48MiB
[ -s p/less/embeddings.npy ]
ensembed run less.jsonl --model "$MODELS/mean" --out q --quiet --ceiling cpu=48MiB 2>&1 ||
    echo "exit status $?"
# Taken in windows it is tokenized whole.
for mib in 48 120; do
    ensembed run less.jsonl --model "$MODELS/mean" --out w --quiet --export npy --ceiling cpu=${mib}MiB --long window 2>&1 ||
        echo "exit status $?"
done
ensembed plan less.jsonl --model "$MODELS/mean" --ceiling cpu=80MiB --long window 2>&1 | sed -n "s/.*the longest/the longest/p" | tr "?" " " | uniq
