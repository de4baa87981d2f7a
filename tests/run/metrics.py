"""metrics.prom as Prometheus' own parser reads it.

    tests/run/metrics.py build/test_run_metrics
    tests/run/metrics.py --file OUT/metrics.prom
"""
import json
import pathlib
import re
import sys

import judge

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    judge.skip("no prometheus_client (tools/test installs it)")


def read(path):
    """{(name, labels): value}, after checking what a server would refuse."""
    values, families = {}, set()
    heads = [line.split()[1:3] for line in path.read_text("utf-8").splitlines()
             if line.startswith("# ")]
    assert len(heads) == len({tuple(head) for head in heads}), \
        "a second HELP or TYPE"  # which the client forgives
    for family in text_string_to_metric_families(path.read_text("utf-8")):
        assert family.name not in families, f"{family.name} comes twice"
        families.add(family.name)
        assert family.documentation, f"{family.name} has no help"
        assert family.type in ("gauge", "counter"), family
        for sample in family.samples:
            assert sample.name.startswith("ensembed_"), sample
            assert (family.type == "counter") == sample.name.endswith("_total")
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in values, f"{key} comes twice"
            values[key] = sample.value
    return values


def check_docs(values):
    """docs/outputs.md names what is written, and nothing else."""
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" /
            "outputs.md").read_text("utf-8")
    named = set(re.findall(r"`(ensembed_[a-z_]+)`", page))
    written = {name for name, _ in values}
    assert named == written, named ^ written


def value(values, name, **labels):
    return values[name, tuple(sorted(labels.items()))]


def check_scene(values, summary):
    for collection in summary["collections"]:
        name = collection["collection"]
        assert value(values, "ensembed_collection_status", collection=name,
                     status=collection["status"]) == 1
        for state in ("found", "embedded", "duplicate", "blank", "truncated",
                      "failed"):
            if "chunks" in collection:
                assert value(values, "ensembed_chunks_total", collection=name,
                             state=state) == collection["chunks"][state]
        for entry in collection["passes"]:
            labels = dict(collection=name, model=entry["model"],
                          device=entry["device"], **{"pass": str(entry["pass"])})
            assert value(values, "ensembed_pass_tokens_total",
                         **labels) == entry["tokens"]
            assert abs(value(values, "ensembed_pass_duration_seconds", **labels)
                       - entry["duration_ms"] / 1000) < 1e-9
            memory = entry["memory"]
            assert value(values, "ensembed_pass_peak_bytes", kind="planned",
                         **labels) == memory["planned"]["private_bytes"]
            assert value(values, "ensembed_pass_peak_bytes", kind="measured",
                         **labels) == memory["private_peak_bytes"]
            for lease in entry["leases"]:
                assert value(values, "ensembed_lease_left_behind_bytes",
                             **dict(labels, device=lease["device"])
                             ) == lease["bytes_left_behind"]
    assert value(values, "ensembed_run_status", program=summary["program"],
                 status="bad_vector") == 1


def main():
    if sys.argv[1] == "--file":
        read(pathlib.Path(sys.argv[2]))
        return
    with judge.files_of(sys.argv[1]) as folder:
        with open("tests/fixtures/report/summary.json", encoding="utf-8") as f:
            summary = json.load(f)
        scene = read(folder / "metrics.prom")
        check_scene(scene, summary)
        check_docs(scene)
        odd = read(folder / "odd.prom")
        assert value(odd, "ensembed_chunks_total", collection='a"b\\c\nd',
                     state="found") == 3
        read(folder / "odder.prom")


main()
print("metrics.prom: read by prometheus_client")
