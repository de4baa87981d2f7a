# Weights that somebody cuts while they are mapped: whichever thread reads them.
mkfifo texts
for threads in 1 4; do
    rm -rf model
    cp -r "$MODELS/mean" model
    ensembed embed --model model --threads $threads <texts >out &
    pid=$!
    exec 3>texts
    until grep -q model.safetensors /proc/$pid/maps; do kill -0 $pid && sleep 0.02; done
    : >model/model.safetensors
    for i in $(seq 400); do echo "\"three words here $i and one more and one more and again again again\""; done >&3
    exec 3>&-
    status=0
    wait $pid || status=$?
    echo "$status"
done
