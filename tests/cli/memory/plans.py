"""Runs with random devices, ceilings, modes and models: no account ever passes
its ceiling; what is planned to fit runs, and what is refused is refused before
a model is loaded, with a change that does help. Usage: plans.py MODELS COUNT."""

import array
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys

MODELS, COUNT = sys.argv[1], int(sys.argv[2])
NAMES = ["mean", "cls", "concat", "lasttoken", "prompts"]


def make_large():
    """A model like `mean`, four times as wide: large beside what a run takes
    in any case."""
    shutil.copytree(os.path.join(MODELS, "mean"), "large")
    with open("large/config.json") as file:
        config = json.load(file)
    config.update(hidden_size=128, intermediate_size=256, num_hidden_layers=2)
    os.remove("large/config.json")
    with open("large/config.json", "w") as file:
        json.dump(config, file)
    os.remove("large/1_Pooling/config.json")
    with open("large/1_Pooling/config.json", "w") as file:
        json.dump({"word_embedding_dimension": 128, "pooling_mode_mean_tokens": True}, file)
    with open(os.path.join(MODELS, "mean", "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    data, at = array.array("f"), 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        wide = [{32: 128, 64: 256}.get(side, side) for side in tensor["shape"]]
        if "position" in name:
            wide[0] = tensor["shape"][0]
        count = wide[0] * (wide[1] if len(wide) > 1 else 1)
        data.extend(random.uniform(-0.1, 0.1) for _ in range(count))
        header[name] = {"dtype": "F32", "shape": wide, "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    os.remove("large/model.safetensors")
    text = json.dumps(header).encode()
    with open("large/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        data.tofile(file)


def run(arguments):
    shutil.rmtree("o", ignore_errors=True)
    done = subprocess.run(["ensembed", "run", "c", "--out", "o", "--quiet"] + arguments,
                          capture_output=True, text=True)
    summary = None
    if os.path.exists("o/summary.json"):
        with open("o/summary.json") as file:
            summary = json.load(file)
    return done.returncode, done.stderr, summary


def arguments_of(case):
    arguments = ["--mode", case["mode"], "--threads", str(case["threads"])]
    if case["devices"]:
        arguments += ["--device", ",".join(case["devices"])]
    for model in case["models"]:
        arguments += ["--model", model if model == "large" else os.path.join(MODELS, model)]
    if len(case["models"]) > 1:
        arguments += ["--fuse", "concat"]
    for device, size in case["ceilings"].items():
        arguments += ["--ceiling", f"{device}={size}"]
    return arguments


def draw():
    devices = [f"sim:{name}={random.randint(60, 2000)}KiB" for name in "ab"[:random.randint(0, 2)]]
    case = {"mode": random.choice(["exclusive", "sequential", "simultaneous", "auto"]),
            "threads": random.randint(1, 3), "devices": devices,
            "models": random.sample(NAMES, random.randint(1, 3)), "ceilings": {}}
    if random.random() < 0.5 and (not devices or len(case["models"]) == 1):
        case["ceilings"]["cpu"] = random.randint(3000, 9000) * 1000
    return case


def events(of):
    if not os.path.exists("o/events.jsonl"):
        return []
    with open("o/events.jsonl") as file:
        return [line for line in map(json.loads, file) if line["type"] == of]


def check_peaks(summary, case):
    for collection in summary["collections"]:
        for one in collection["passes"]:
            memory = one.get("memory")
            if memory and memory["private_peak_bytes"] > memory["ceiling_bytes"]:
                print("over the ceiling of the host", case)
            for device in one.get("devices", []):
                if device["measured_peak_bytes"] > device["ceiling_bytes"]:
                    print("over the ceiling of", device["device"], case)


def failed_passes(summary):
    return [one for collection in summary["collections"]
            for one in collection["passes"] if one["status"] != "completed"]


def check_refusal(case, message, summary):
    """The model that was refused was not loaded, and the remedy helps it."""
    remedy = re.search(r"(\S+) does not fit anywhere: .*--ceiling (\S+)=(\d+)", message)
    if not remedy:
        if not re.search(r"memory ceiling: \d+ of \d+ bytes are in use", message):
            print("refused without sizes:", message, case)
        return False
    model, device, size = remedy.groups()
    if any(event["model"] == model for event in events("model_loaded")):
        print("loaded before it was refused:", model, case)
    if device != "cpu":
        return False
    helped = dict(case, models=[model], mode="exclusive",
                  ceilings=dict(case["ceilings"], cpu=int(size)))
    if case["models"] != [model] or case["mode"] != "exclusive":
        return False
    status, error, _ = run(arguments_of(helped))
    if status:
        print("the remedy does not help:", message, error, helped)
    return True


def main():
    random.seed(11)
    os.makedirs("c/x", exist_ok=True)
    with open("c/x/a_chunks.json", "w") as file:
        json.dump([{"text": f"some words and {i}" * random.randint(1, 9)} for i in range(30)], file)
    make_large()
    ran = refused = remedies = 0
    # A model that is large for its run, from too little to enough.
    sweep = [{"mode": "exclusive", "threads": 1, "devices": [], "models": ["large"],
              "ceilings": {"cpu": size}} for size in range(2_000_000, 4_400_000, 200_000)]
    for case in [draw() for _ in range(COUNT)] + sweep:
        status, error, summary = run(arguments_of(case))
        if summary:
            check_peaks(summary, case)
        failures = failed_passes(summary) if summary else []
        if status == 0:
            ran += 1
            continue
        refused += 1
        messages = [one["error"]["message"] for one in failures] or [error]
        for message in messages:
            remedies += check_refusal(case, message, summary)
    print("ran" if ran > COUNT / 5 else f"only {ran} ran")
    print("refused" if refused > COUNT / 20 else f"only {refused} refused")
    print("helped" if remedies else "no remedy was tried")


main()
