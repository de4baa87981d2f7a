ensembed serach vectors question
