# Folders whose names are no text, as long as a name may be, or an order to the
# terminal; and the output of a run beside them, which the next run over all of
# it does not take for chunks.
long=$(head -c 250 /dev/zero | tr '\0' l)
mkdir -p "c/$long" c/in "c/$(printf 'red\033[31m')"
for folder in c/*; do echo '{"text": "one"}' >"$folder/x.jsonl"; done
out=c/$(printf 'out\377\033[1m')
for again in 1 2; do
    ensembed run c --model "$MODELS/mean" --out "$out" --no-progress >said
    sed "s/l\{250\}/LONG/g; s/, .*//" said | sed -n "1,3p; \$p" | cat -A
done
# What a pipe has to say nobody waits for, where a file is wanted.
mkfifo pipe
timeout 100 ensembed run c --model "$MODELS/mean" --out p --config pipe || echo "status $?"
timeout 100 ensembed run c --model "$MODELS/mean" --device sim:a=64MiB --out p --sim-script pipe || echo "status $?"
# Few descriptors, of which whoever started this may have left some open.
(exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- && ulimit -n 12 && ensembed run c --collection in --model "$MODELS/mean" --out p --no-progress >said) || echo "status $?"
