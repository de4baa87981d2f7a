# heavy: Planned bytes are measured bytes: all modes, CPU and simulated cards,
# threads, small and larger inputs, runs that go on, several collections.
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
python3 - <<'END'
import json, os, random
random.seed(4)
words = "alpha beta the of model vector paris dog run tree house x yz fast".split()
for name, count, most in (("few", 40, 20), ("many", 3000, 60), ("long", 60, 9000)):
    os.makedirs(f"c/{name}")
    with open(f"c/{name}/a_chunks.json", "w") as file:
        json.dump([{"text": " ".join(random.choices(words, k=random.randint(1, most))) + f" {i}",
                    "metadata": {"chunk_id": f"{name}-{i}"}} for i in range(count)], file)
END
n=0
one() {
    n=$((n + 1))
    ensembed run c --quiet --out "$out" "$@"
    cp "$out/summary.json" "s$n.json"
}
two="--model $MODELS/mean --model $MODELS/cls --model $MODELS/concat --fuse concat"
for threads in 1 2 4; do
    out=t$threads
    one --model "$MODELS/prompts" --threads $threads
done
for mode in exclusive sequential simultaneous; do
    for devices in cpu sim:a=64MiB,sim:b=64MiB sim:a=1MiB sim:a=300000,sim:b=1MiB,cpu; do
        out=o$n
        one $two --mode $mode --device $devices
    done
done
out=w; one $two --device sim:a=64MiB --warm
# Going on: other texts, then another model.
out=r; one --model "$MODELS/mean" --collection few
rm -r c/long; mkdir c/long; echo '[{"text":"new"},{"text":"alpha beta 7"}]' >c/long/a_chunks.json
python3 - <<'END'
import json
chunks = json.load(open("c/many/a_chunks.json"))
json.dump(chunks + [{"text": f"more {i}"} for i in range(500)], open("c/many/a_chunks.json", "w"))
END
for out in t2 o3 o7; do one $two; done
python3 "$ROOT/tests/cli/memory/planned.py" s*.json
