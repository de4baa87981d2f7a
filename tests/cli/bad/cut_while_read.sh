# Weights that somebody cuts while they are mapped: whichever thread reads them.
# embed computes 256 texts at a time: when the first are printed, the model is
# loaded and waits for more; and nobody writes to it any more when it ends.
texts() {
    for i in $(seq 256); do echo "\"three words here $1 $i and one more and one more and again again again\""; done
}
mkfifo texts
for threads in 1 4; do
    rm -rf model
    cp -r "$MODELS/mean" model
    ensembed embed --model model --threads $threads <texts >out &
    pid=$!
    exec 3>texts
    texts a >&3
    until [ -s out ]; do
        kill -0 $pid
        sleep 0.02
    done
    : >model/model.safetensors
    texts b >&3
    exec 3>&-
    status=0
    wait $pid || status=$?
    echo "$status"
done
