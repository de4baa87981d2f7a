# Each task has vectors of its own, and none has others; a task that the model
# does not know is refused with those that it knows.
lora=$MODELS/jina3_lora
ensembed embed --model "$lora" "a text" >none.json
for task in retrieval.query retrieval.passage separation; do
    ensembed embed --model "$lora" --task $task "a text" >$task.json
done
[ "$(cat ./*.json | sort -u | wc -l)" -eq 4 ]

status=0
ensembed embed --model "$lora" --task nonsense "a text" 2>error || status=$?
[ $status -eq 2 ]
grep -q 'no task nonsense: it has retrieval.query, retrieval.passage, separation' error
