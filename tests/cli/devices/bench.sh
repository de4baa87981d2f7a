# heavy: what `bench` measures is there and is a number; how large it is is nobody's
# promise.
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
ensembed bench --model "$MODELS/mean" --dtype int8 --threads 1 --json >bench.json
python3 - <<'END'
import json, math

def numbers(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value

bench = json.load(open("bench.json"))
for path, value in numbers(bench):
    assert math.isfinite(value) and value >= 0, (path, value)
model = bench["models"][0]
assert model["model"] == "mean" and model["text_tokens"] == 48
for key in ("tokens_per_second", "gflops", "gemm_gflops", "fraction_of_gemm"):
    assert model[key] > 0, key
assert math.isclose(model["gflops"] / model["gemm_gflops"], model["fraction_of_gemm"], rel_tol=1e-6)
print(sorted({row["width"] for row in bench["gemm"]}), bench["threads"])
END
ensembed bench --model "$MODELS/mean" --model "$MODELS/static_table" --threads 1 >bench.txt
cut -d : -f 1 bench.txt | tr -s ' ' | sort -u
# A table of words has no matrix products: it is said, in a line of its own and
# in five of queries, and nothing is divided by them.
grep -c 'no matrix products' bench.txt
