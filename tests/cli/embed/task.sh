# Adapters beside the model: a task must be chosen, and changes the vectors.
ensembed embed --model "$MODELS/jina4" "a text" && exit 1
ensembed embed --model "$MODELS/jina4" --task poetry "a text" && exit 1
ensembed embed --model "$MODELS/jina4" --task code "a text" >code.json
ensembed embed --model "$MODELS/jina4" --task retrieval "a text" >retrieval.json
! cmp -s code.json retrieval.json
# Adapters of other tasks than the config says.
cp -r "$MODELS/jina4" other
sed -i 's/"code"/"poetry"/' other/config.json
ensembed embed --model other --task retrieval "a text" && exit 1
# None at all.
rm -r other/adapters
ensembed embed --model other "a text" && exit 1
exit 0
