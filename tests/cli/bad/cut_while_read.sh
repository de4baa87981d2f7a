# Weights that somebody cuts while they are mapped.
cp -r "$MODELS/mean" model
mkfifo texts
ensembed embed --model model <texts >out &
pid=$!
exec 3>texts
until grep -q model.safetensors /proc/$pid/maps; do sleep 0.02; done
: >model/model.safetensors
echo '"three words here"' >&3
exec 3>&-
status=0
wait $pid || status=$?
exit $status
