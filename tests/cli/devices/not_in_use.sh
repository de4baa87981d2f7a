ensembed devices --device sim:t4x2 --ceiling sim:t4=2GiB
