ENSEMBED_THREADS=-1 ensembed search vectors question
