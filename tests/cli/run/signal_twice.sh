# Signals close behind each other are one wish, as timeout(1) sends them.
# (env: sh starts what is in the background with SIGINT ignored.)
mkfifo pipe
exec 3<>pipe
env --default-signal=INT ensembed run - --model "$MODELS/mean" --out o --quiet <pipe 2>err &
pid=$!
while [ ! -e o/chunks/.ensembed/lock ]; do sleep 0.02; done
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -INT $pid 2>/dev/null || true
done
code=0
wait $pid || code=$?
echo "at once: $code"
grep -c "goes on" err
