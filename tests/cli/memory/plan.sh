# What `plan` says is what a run does; it reads no weights.
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
mkdir -p c/x
python3 - <<'END'
import json
json.dump([{"text": f"some words, and more of them: {i + 10000}", "metadata": {"n": i}} for i in range(3000)],
          open("c/x/a_chunks.json", "w"))
END
for devices in cpu sim:a=1MiB sim:a=64MiB,sim:b=300000; do
    for mode in exclusive sequential simultaneous; do
        ask="--model $MODELS/mean --model $MODELS/cls --fuse concat --threads 2 --device $devices --mode $mode"
        ensembed plan c $ask --json >plan.json
        ensembed run c $ask --out o --restart --quiet
        python3 - "$devices $mode" <<'END'
import json, os, sys
plan, run = json.load(open("plan.json")), json.load(open("o/summary.json"))
assert plan["schema_version"] == 1
planned, done = plan["collections"][0], run["collections"][0]
assert plan["mode"] == done["mode"], (plan["mode"], done["mode"])
for a, b in zip(planned["passes"], done["passes"], strict=True):
    homes = {home["device"]: home for home in a["homes"]}
    for device in b["devices"]:
        home = homes.pop(device["device"])
        for key in ("weights_bytes", "workspace_bytes", "budget_tokens", "layers_resident"):
            assert home[key] == device["plan"][key], (sys.argv[1], key, home, device)
    assert not homes, (sys.argv[1], homes)
    measured = b["memory"]["private_peak_bytes"]
    off = a["memory"]["private_bytes"] / measured - 1
    assert abs(off) < 0.05, (sys.argv[1], a["model"], a["memory"], measured)
    tokens = a["estimate"]["tokens"] / b["tokens"] - 1
    assert abs(tokens) < 0.05, (sys.argv[1], a["estimate"], b["tokens"])
for key, names in (("points_bytes", ["points.jsonl"]), ("texts_bytes", ["texts.jsonl"]),
                   ("metadata_bytes", ["metadata.jsonl"]),
                   ("arrays_bytes", ["mean.npy", "cls.npy", "embeddings.npy"])):
    size = sum(os.path.getsize("o/x/" + name) for name in names)
    off = planned["disk"][key] / size - 1
    assert abs(off) < 0.1, (key, planned["disk"][key], size)
END
    done
done
# The lines of sparse vectors and of terms, and what lies below .ensembed.
weighs() { # OPTIONS EXPORTS
    # shellcheck disable=SC2086
    ensembed plan c $1 --export "$2" --json >pointless.json
    set -- "$1 --export $2,points"
    # shellcheck disable=SC2086
    ensembed plan c $1 --json >plan.json
    # shellcheck disable=SC2086
    ensembed run c $1 --out s --restart --quiet
    python3 - "$1" <<'END'
import json, os, sys
disk = json.load(open("plan.json"))["collections"][0]["disk"]
size = os.path.getsize("s/x/points.jsonl")
assert abs(disk["points_bytes"] / size - 1) < 0.1, (sys.argv[1], disk, size)
kept = os.path.getsize("s/x/.ensembed/points.offsets")
arrays = [name for name in os.listdir("s/x") if name.endswith((".npy", ".npz"))]
size = sum(os.path.getsize("s/x/" + name) for name in arrays)
assert size < disk["arrays_bytes"] < 2 * size, (sys.argv[1], disk, size)
# A record of 64 bytes a chunk, its digest, and 40 bytes to find its row.
assert kept + 3000 * (64 + 32 + 40) < disk["lookup_bytes"], (sys.argv[1], disk, kept)
# Offsets are of points; beside them lies how many there are.
offsets = disk["lookup_bytes"] - json.load(open("pointless.json"))["collections"][0]["disk"]["lookup_bytes"]
assert 0 <= kept - offsets <= 8, (sys.argv[1], offsets, kept)
END
}
python3 - <<'END'
import json
json.dump([{"text": f"dogs {i + 10000} foxes {i + 20000}", "metadata": {"n": i}} for i in range(3000)],
          open("c/x/a_chunks.json", "w"))
END
weighs "--sparse qdrant-bm25" npy
python3 - <<'END'
import json
terms = [{"term": f"term{t}", "tf": 1, "weight": 0.3 + t / 100} for t in range(7)]
json.dump([{"text": f"some words: {i + 10000}", "metadata": {"sparse_features": {"term_weights": terms}}}
           for i in range(3000)], open("c/x/a_chunks.json", "w"))
END
weighs "--model $MODELS/mean" npy,terms
# The data of the weights is never looked at: it may be a hole in the file.
cp -rL "$MODELS/mean" hole
chmod -R u+w hole
python3 - <<'END'
import os, struct
path = "hole/model.safetensors"
size = os.path.getsize(path)
with open(path, "r+b") as file:
    header = 8 + struct.unpack("<Q", file.read(8))[0]
os.truncate(path, header)
os.truncate(path, size)
END
ensembed plan c --model ./hole >told
grep -c "8192 tokens" told
# What fits nowhere is refused with sizes and a remedy; so is a full disk's.
ensembed plan c --model "$MODELS/mean" --ceiling cpu=6600000 >told && echo fits
ensembed plan c --model "$MODELS/mean" --ceiling cpu=4000000 >told 2>error || echo "status $?"
grep -c "ceiling" error
