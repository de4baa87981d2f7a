# One signal ends what waits for standard input: a run says how to go on, other
# commands end as if nobody had caught it.
mkfifo pipe
exec 3<>pipe
code=0
timeout -k 5 -s TERM 1 ensembed embed --model "$MODELS/mean" <pipe || code=$?
echo "embed $code"
timeout -k 20 -s INT 1 ensembed run - --model "$MODELS/mean" --out o --quiet <pipe || code=$?
echo "run $code"
