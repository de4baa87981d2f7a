# Files that are no JSON but something that people have: each remedy is the one
# that helps.
mkdir in
printf '{"text":"one"}\n{"text":"two"}\n' >in/lines.json
gzip -c in/lines.json >in/packed.jsonl
gzip -c in/lines.json >in/packed.json
printf '\377\376{\0"\0t\0' >in/marked.json
printf '[\0"\0x\0"\0]\0' >in/wide.json
printf '[1] x' >in/more.json
ensembed run in --model "$MODELS/mean" --out o --quiet || echo "exit status $?"
gunzip -c <in/packed.json | ensembed run - --model "$MODELS/mean" --out o2 2>/dev/null | head -n 1
