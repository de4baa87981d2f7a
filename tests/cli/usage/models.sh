# The models with short names, and which of them are on this machine.
ensembed models >none
grep -c "not in the cache" none
mkdir -p hub/models--BAAI--bge-m3/refs hub/models--BAAI--bge-m3/snapshots
commit=0123456789012345678901234567890123456789
printf %s $commit >hub/models--BAAI--bge-m3/refs/main
cp -r "$MODELS/m3" hub/models--BAAI--bge-m3/snapshots/$commit
export HF_HUB_CACHE=$PWD/hub
ensembed models >one
diff none one | grep "^[<>] bge-m3" | tr -s ' '
tail -n 1 one | sed "s|$PWD|.|"
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
ensembed models --json | python3 -c '
import json, sys
models = {model["key"]: model for model in json.load(sys.stdin)}
print([key for key, model in models.items() if model["usable"]])
print(models["bge-m3"]["family"], models["bge-m3"]["heads"])
assert all("ensembed pull" in model["reason"] for model in models.values() if not model["usable"])'
