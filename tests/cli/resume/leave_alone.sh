# --skip-existing leaves what is complete alone and makes what is not;
# --restart begins anew.
mkdir -p c/x c/y
echo '[{"text":"one"},{"text":"two"}]' >c/x/a_chunks.json
echo '[{"text":"three"}]' >c/y/a_chunks.json
go() {
    ensembed run c --model "$MODELS/mean" --out o --no-progress "$@" >out
    grep -o "[0-9]* texts\{0,1\} computed, [0-9]* reused" out
    grep -o '^   "status": "[a-z_]*"' o/summary.json
}
go --collection x
cp -r o/x before
# x has a text more by now, and stays as it is.
echo '[{"text":"one"},{"text":"two"},{"text":"four"}]' >c/x/a_chunks.json
go --skip-existing
for f in before/*.*; do cmp "$f" "o/x/${f##*/}"; done
# A file that is gone, or was cut: no longer complete.
rm o/x/texts.jsonl
go --skip-existing
truncate -s 5 o/y/points.jsonl
go --skip-existing
go --restart
ensembed run c --model "$MODELS/mean" --out fresh --quiet
for n in x y; do for f in fresh/$n/*.*; do cmp "$f" "o/$n/${f##*/}"; done; done
# A file that was written to since is made again; a copy of the folder, whose
# times are all others, is as complete as it is.
printf 'oops' | dd of=o/x/embeddings.npy bs=1 seek=200 conv=notrunc status=none
touch -d 2001-01-01 o/x/embeddings.npy # however coarse the times are here
go --skip-existing
cmp fresh/x/embeddings.npy o/x/embeddings.npy
touch -d 2001-01-01 o/x/*.*
go --skip-existing
# Files of other models or options are left alone, with a word.
ensembed run c --model "$MODELS/mean" --export npy --out o --quiet --skip-existing 2>err
cat err
# The same models by other names for their folders are the same models.
ln -s "$MODELS/mean" mean
ensembed run c --model ./mean:weight=2 --out o --quiet --skip-existing
# Files of a run that lacked a model are not complete.
status=0
ensembed run c --model "$MODELS/mean" --model ./cls --dim 16 --out lacks --quiet 2>err || status=$?
echo "exit status $status"
cp -r "$MODELS/cls" cls
ensembed run c --model "$MODELS/mean" --model ./cls --dim 16 --out lacks --quiet --skip-existing 2>err
cd lacks/x && echo *.npy
