ensembed run chunks --model m --out o --threads four
