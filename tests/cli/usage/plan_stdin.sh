# Standard input can be read once: a plan would leave the run none of it.
ensembed plan - --model "$MODELS/mean" </dev/null
