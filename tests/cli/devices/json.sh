ensembed devices --device sim:t4 --lock-dir "$PWD/none" --json
[ ! -e none ]
