#!/usr/bin/env python3
"""Which bucket transformers puts a distance in, and ALiBi's slopes: the oracle
of src/model/weights_made.c.

    tools/relative_oracle.py >tests/fixtures/relative/cases.json
    tools/relative_oracle.py --check tests/fixtures/relative/cases.json

prints lists of [buckets, reach, [[distance, row] ...]] for T5 and DeBERTa v2: a
pair where the row is another than that of the distance before, up to the reach
and some more. --check compares instead. Needs what make_models.py needs (not
in tests/requirements.txt); without it it says `skip:`.
"""

import json
import pathlib
import sys

# Published configs' numbers, then others; DeBERTa's 0 is a row a distance.
T5 = [(32, 128), (64, 256), (32, 512), (40, 100), (4, 8), (5, 16), (21, 50),
      (48, 1000), (7, 33), (200, 257)]
DEBERTA = [(256, 512), (32, 128), (16, 512), (64, 100), (4, 9), (100, 1000),
           (320, 512), (0, 24)]
HEADS = [1, 2, 3, 6, 8, 11, 12, 16, 20, 32]


def changes(rows, first):
    found, last = [], None
    for distance, row in enumerate(rows, first):
        if row != last:
            found.append([distance, row])
        last = row
    return found


def t5(buckets, reach):
    """Distances as we count them: key less query."""
    import torch
    from transformers.models.t5.modeling_t5 import T5Attention
    most = reach + 5
    rows = T5Attention._relative_position_bucket(
        torch.arange(-most, most + 1), True, buckets, reach)
    return [buckets, reach, changes(rows.tolist(), -most)]


def deberta(buckets, reach):
    import torch
    from transformers.models.deberta_v2.modeling_deberta_v2 import (
        build_relative_position)
    most = reach + 5
    span = buckets or reach
    nothing = torch.zeros(1, most + 1, 1)
    grid = build_relative_position(nothing, nothing, buckets or -1, reach)[0]
    rows = grid[0].flip(0).tolist() + grid[1:, 0].tolist()
    rows = [min(max(r + span, 0), 2 * span - 1) for r in rows]
    return [buckets, reach, changes(rows, -most)]


def main(arguments):
    try:
        import make_models
    except ImportError as error:
        print(f"skip: {error.name} is not installed")
        return 0
    alibi_slopes = make_models.models_relative.alibi_slopes
    made = {"t5": [t5(*c) for c in T5],
            "deberta": [deberta(*c) for c in DEBERTA],
            "slopes": [alibi_slopes(n) for n in HEADS]}
    text = "{\n" + ",\n".join(
        json.dumps(k) + ": [\n" + ",\n".join(map(json.dumps, v)) + "]"
        for k, v in made.items()) + "}\n"
    if arguments[:1] != ["--check"]:
        print(text, end="")
        return 0
    same = pathlib.Path(arguments[1]).read_text() == text
    print("equal" if same else f"{arguments[1]} is not what upstream says")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
