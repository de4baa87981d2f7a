# heavy: a text of 100 MB is cut at the limit and counted.
awk "BEGIN { printf \"{\\\"text\\\": \\\"\"; for (i = 0; i < 3900000; i++) printf \"lorem ipsum dolor sit amet \"; print \"\\\"}\"; print \"{\\\"text\\\": \\\"small\\\"}\" }" >big.jsonl
ensembed run big.jsonl --model "$MODELS/mean" --out o --no-progress --export npy
grep -o "\"truncated\": 1" o/summary.json | head -n 1
