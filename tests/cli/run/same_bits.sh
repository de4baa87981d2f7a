# heavy: threads, batch size, order and company change no bit of a vector.
awk "BEGIN { for (i = 0; i < 400; i++) { t = \"w\" i; for (j = 0; j < i % 37; j++) t = t \" token\" j; print \"{\\\"text\\\": \\\"\" t \"\\\"}\" } }" >a.jsonl
awk "{ l[NR] = \$0 } END { for (i = NR; i > 0; i--) print l[i] }" a.jsonl >b.jsonl
for isa in avx512 avx2 generic; do
    ensembed embed --model "$MODELS/mean" --isa $isa x >/dev/null 2>&1 || continue
    ensembed run a.jsonl --as c --model "$MODELS/mean" --isa $isa --threads 1 --out o1 --quiet --export npy,points --restart
    for setting in "--threads 2" "--threads 3 --model $MODELS/mean:budget=48" "--threads 2 --model $MODELS/mean:budget=300"; do
        case $setting in *--model*) m= ;; *) m="--model $MODELS/mean" ;; esac
        # shellcheck disable=SC2086
        ensembed run b.jsonl --as c $m $setting --isa $isa --out o2 --quiet --export npy,points --restart
        cut -d "]" -f 1 o1/c/points.jsonl | cut -d "[" -f 2 | sort >v1
        cut -d "]" -f 1 o2/c/points.jsonl | cut -d "[" -f 2 | sort >v2
        cmp v1 v2
    done
    echo "same bits"
done | sort -u
