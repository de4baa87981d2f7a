# JSON Lines from standard input; a bad line costs itself.
printf "{\"text\":\"one\"}\n{oops\n\"two\"\n" | ensembed run - --as piped --model "$MODELS/mean" --out o --no-progress
