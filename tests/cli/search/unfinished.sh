# A collection whose files a run writes, or wrote when it was killed, is named;
# where there is no other, or it is asked for, and a run is at work, the exit
# status says to come again. One without chunks never has files.
mkdir -p c/a c/b c/none
echo '[{"text":"one"}]' >c/a/x_chunks.json
echo '[{"text":"two"}]' >c/b/x_chunks.json
echo '[]' >c/none/x_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet --summary elsewhere 2>err || echo "exit status $?"
rm o/b/stats.json
at_work() { # COMMAND..., as while a run lasts
    flock o/.ensembed/lock "$@" 2>&1 || echo "exit status $?"
}
ensembed search o one 2>&1
at_work ensembed search o one
at_work ensembed search o one --collection a
at_work ensembed search o one --collection b --collection a
ensembed search o one --collection b --collection a 2>&1 || echo "exit status $?"
rm o/a/stats.json
at_work ensembed search o one
ensembed search o one 2>&1 || echo "exit status $?"
