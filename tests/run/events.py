"""events.jsonl against the schema, and the schema against docs/events.md.

    tests/run/events.py build/test_run_telemetry
    tests/run/events.py --file OUT/events.jsonl
"""
import json
import pathlib
import re
import sys

import judge

try:
    import jsonschema
except ImportError:
    judge.skip("no jsonschema (tools/test installs it)")

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
SCHEMA = json.loads((DOCS / "events.schema.json").read_text("utf-8"))
TYPES = {rule["if"]["properties"]["type"]["const"]: rule["then"]
         for rule in SCHEMA["allOf"]}
VALID = jsonschema.Draft202012Validator(SCHEMA)


def check_event(event):
    """The schema allows what is new; a test must not."""
    VALID.validate(event)
    kind = event["type"]
    assert kind in TYPES, f"{kind} is in no schema"
    known = set(SCHEMA["properties"]) | set(TYPES[kind]["properties"])
    assert set(event) <= known, f"{kind}: {set(event) - known} in no schema"


def check_file(path):
    types = set()
    for line in path.read_text("utf-8").splitlines():
        check_event(json.loads(line))
        types.add(json.loads(line)["type"])
    return types


def check_refusals(path):
    """Without any of its members, or with one of another type, an event is
    refused."""
    for line in path.read_text("utf-8").splitlines():
        event = json.loads(line)
        for member in SCHEMA["required"] + TYPES[event["type"]]["required"]:
            less = {k: v for k, v in event.items() if k != member}
            assert not VALID.is_valid(less), (event["type"], member)
            assert not VALID.is_valid(event | {member: [[]]}), (
                event["type"], member)


def check_docs():
    """The table says what the schema says."""
    text = (DOCS / "events.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \|.*\| (`.*) \|$", text, re.M))
    assert set(rows) == set(TYPES), set(rows) ^ set(TYPES)
    for kind, members in rows.items():
        always, _, maybe = members.partition("[")
        names = re.findall("`([a-z_0-9]+)`", always)
        others = re.findall("`([a-z_0-9]+)`", maybe)
        assert set(names) == set(TYPES[kind]["required"]), kind
        assert set(names + others) == set(TYPES[kind]["properties"]), kind


if sys.argv[1] == "--file":
    check_file(pathlib.Path(sys.argv[2]))
else:
    with judge.files_of(sys.argv[1]) as folder:
        written = check_file(folder / "events.jsonl")
        assert written == set(TYPES), written ^ set(TYPES)
        check_refusals(folder / "events.jsonl")
    check_docs()
print("events.jsonl: by its schema")
