"""Planned against measured in the summaries of runs, one a line: mode, devices,
threads, which model, and by how much it is off if it is off by more than it
may. Usage: planned.py SUMMARY..."""

import json
import sys


def check(path):
    passes = 0
    with open(path) as file:
        summary = json.load(file)
    for collection in summary["collections"]:
        for one in collection["passes"]:
            if "memory" not in one:
                continue
            passes += 1
            memory = one["memory"]
            planned = memory["planned"]["private_bytes"]
            measured = memory["private_peak_bytes"]
            if abs(measured - planned) > 0.05 * planned:
                print(path, one["model"], "planned", planned, "measured", measured)
            whole = (memory["process_base_bytes"] + planned
                     + memory["planned"]["mapped_bytes"])
            if memory["planned_resident_bytes"] != whole:
                print(path, one["model"], "the resident sum is", whole)
            if memory["resident_peak_bytes"] > whole + max(0.05 * whole, 16 << 20):
                print(path, one["model"], "resident", memory["resident_peak_bytes"],
                      "planned", whole)
            for device in one["devices"]:
                if device["device"] == "cpu" or one["mitigations"]:
                    continue
                if device["plan"]["peak_bytes"] != device["measured_peak_bytes"]:
                    print(path, one["model"], device["device"], "planned",
                          device["plan"]["peak_bytes"], "measured",
                          device["measured_peak_bytes"])
                if device["measured_peak_bytes"] > device["ceiling_bytes"]:
                    print(path, one["model"], device["device"], "over its ceiling")
    return passes


print(sum(check(path) for path in sys.argv[1:]), "passes")
