# An option that cannot stand in the file is not told to be none, nor to be
# meant by its own name.
echo '{"config": "other.json"}' >c.json
ensembed run x --config c.json --model m --out o
