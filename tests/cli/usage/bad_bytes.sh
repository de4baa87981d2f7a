ensembed plan chunks --model m --ceiling cpu=99999999TiB
