ensembed run chunks --modle m
