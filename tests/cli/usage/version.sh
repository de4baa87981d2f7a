ensembed --version
