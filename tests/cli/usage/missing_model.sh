ensembed run chunks --out o
