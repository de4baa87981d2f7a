# BM25 in other languages and with other numbers, against fastembed's pairs.
cat >check.py <<'END'
import json
import subprocess
import sys

groups = json.load(open(sys.argv[1]))


def run(name, group, keys):
    cases = [c for c in group["cases"] if c["text"].strip()]
    with open(f"{name}.jsonl", "w") as f:
        for case in cases:
            f.write(json.dumps({"text": case["text"]}) + "\n")
    subprocess.run(["ensembed", "run", f"{name}.jsonl", "--out", name, "--quiet",
                    "--sparse", f"qdrant-bm25:{keys}"], check=True)
    points = [json.loads(line) for line in open(f"{name}/{name}/points.jsonl")]
    assert len(points) == len(cases) > 3
    for point, case in zip(points, cases):
        got, want = point["vector"]["qdrant-bm25-sparse"], case["document"]
        assert got["indices"] == want["indices"], case["text"]
        assert all(abs(a - b) <= 1e-6 for a, b in zip(got["values"], want["values"]))
    model = json.load(open(f"{name}/{name}/stats.json"))["models"][0]
    print(name, model["language"], model["k"], model["b"], model["avg_len"])


german = next(g for g in groups if g["language"] == "german")
open("words", "w").write(german["stopwords"])
run("german", german, "language=german,stopwords=words")
run("numbers", groups[-1], "k=1.5,b=0.5,length=20")
END
python3 check.py "$ROOT/tests/fixtures/text/bm25.json"
# Rows of other numbers are not taken for ours.
ensembed run german.jsonl --out german --quiet --sparse qdrant-bm25 || echo $?
# What cannot be, each by name.
ask() {
    ensembed run german.jsonl --out no --quiet "$@" 2>&1 || echo $?
}
ask --sparse qdrant-bm25:language=klingon
ask --sparse qdrant-bm25:language=french
ask --sparse qdrant-bm25:language=german
ask --sparse qdrant-bm25:stopwords=nothere
ask --sparse qdrant-bm25:b=2
ask --sparse qdrant-bm25:k=x
ask --model "$MODELS/mean:language=german"
