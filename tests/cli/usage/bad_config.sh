echo "{\"modle\": \"m\"}" > settings.json
ensembed run chunks --out o --config settings.json
