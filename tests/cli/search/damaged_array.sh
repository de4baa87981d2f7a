# Numbers that are not finite in an array are said with its name, though rows
# that are sound come nearer; what the message says to do helps.
mkdir c
for text in one two three four; do
    echo "{\"text\": \"$text\"}"
done >c/a_chunks.jsonl
ensembed run c --model "$MODELS/mean" --colbert "$MODELS/colbert" --out o --quiet
for array in o/c/embeddings.npy o/c/colbert.multi.npy; do
    cp $array sound
    size=$(stat -c %s $array)
    printf '\0\0\300\177' | # NaN
        dd of=$array bs=1 seek=$((size - 4)) conv=notrunc status=none
    ensembed search o one -k 1 || echo "exit status $?"
    rm $array
    ensembed run c --model "$MODELS/mean" --colbert "$MODELS/colbert" --out o --quiet 2>err
    cmp $array sound && ensembed search o one -k 1 | head -n 1 | cut -c 1-2
done 2>&1
ensembed run c --sparse qdrant-bm25 --out words --quiet
array=words/c/qdrant-bm25.sparse.npz
header=$(grep -abo NUMPY $array | head -n 1 | cut -d : -f 1) # its 2nd byte
printf '\0\0\300\177' | dd of=$array bs=1 seek=$((header + 127)) conv=notrunc status=none
ensembed search words one 2>&1 || echo "exit status $?"
