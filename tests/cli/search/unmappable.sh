# Texts that the system refuses to map are not called damaged: they need not be
# deleted. (It maps no file of /sys for anybody.)
refused=/sys/devices/system/cpu/online
[ -s $refused ] || { echo "skip: no $refused here"; exit 77; }
mkdir c
echo '{"text": "one"}' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
rm o/c/points.jsonl
ln -sf $refused o/c/texts.jsonl
ensembed search o one -k 1 2>&1 || echo "exit status $?"
