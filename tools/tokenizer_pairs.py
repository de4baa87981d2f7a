#!/usr/bin/env python3
"""Make tests/fixtures/text/pairs.json, or hold a tokenizer command against it.

    python3 tools/tokenizer_pairs.py            write the file
    python3 tools/tokenizer_pairs.py --check    exit 1 if it would change
    python3 tools/tokenizer_pairs.py --count 3000 --command \\
        'build/test_text_pairs --pairs {path}'

Two texts in one row, cut at every limit from the special tokens' number to 40,
as `tokenizers` joins and cuts them ("longest_first"): the models of
tools/tokenizer_parts.py with the kinds of post_processor that there are. A row
of the file is {"of": a row of parts.json, "post_processor", "pairs": [[a, b,
limit, ids, second, cut]]}; second is the place of the first token type 1.
"""

import json
import shlex
import subprocess
import sys
import tempfile

import tokenizers
from tokenizers import Tokenizer

import tokenizer_oracle
import tokenizer_parts
import unicode_tables
from tokenizer_parts import byte_level, part, sequence

FIXTURE = tokenizer_parts.FIXTURE.with_name("pairs.json")
MODELS = ["gpt2", "llama 3", "llama", "fused", "xlm-r", "deberta",
          "bert in a sequence"]
IDS = {"<s>": 0, "</s>": 2, "x": 1}


def piece(word):
    """"A", "B:1", "<s>:1" as TemplateProcessing writes them."""
    name, _, kind = word.partition(":")
    body = {"id": name, "type_id": int(kind or 0)}
    return {"Sequence" if name in "AB" else "SpecialToken": body}


def template(pair, single="<s> A </s>"):
    return part("TemplateProcessing", single=[piece(w) for w in single.split()],
                pair=[piece(w) for w in pair.split()],
                special_tokens={name: {"id": name, "ids": [id] * (1 + id % 2),
                                       "tokens": [name] * (1 + id % 2)}
                                for name, id in IDS.items()})


AROUND = {"sep": ["</s>", 2], "cls": ["<s>", 0]}
PROCESSORS = [
    None, byte_level(), part("BertProcessing", **AROUND),
    part("RobertaProcessing", **AROUND, trim_offsets=True,
         add_prefix_space=False),
    template("<s> A </s> B:1 </s>:1"), template("A </s> B </s>", "A </s>"),
    template("A <s>:1 B:1", "A"), template("<s> A x </s> x:1 <s>:1 B:1 x:1"),
    template("x A x B:1"),
    sequence("processors", byte_level(), template("<s> A <s>:1 B:1", "<s> A")),
]


def documents():
    made = {name: tokenizer for name, tokenizer, _ in tokenizer_parts.make_all(
        tokenizer_oracle.Strings(11))}
    for i, processor in enumerate(PROCESSORS):
        for k, name in enumerate(MODELS):
            # All kinds with the first model, all models with the first kinds.
            if k and (i + k) % len(MODELS) > 1:
                continue
            yield name, i, {**made[name], "post_processor": processor}


def pairs_of(strings, count):
    chosen = strings.random
    for _ in range(count):
        a, b = ("".join(strings.one() for _ in range(chosen.randint(0, 3)))
                for _ in "ab")
        yield chosen.choice([(a, b), (b, a), (a[:8], b), (a, b[:8]), (a, a)])


def answer(judge, a, b, limit):
    judge.no_truncation()
    whole = judge.encode(a, b)
    cut = whole
    if limit:
        judge.enable_truncation(limit, strategy="longest_first")
        cut = judge.encode(a, b)
    types = cut.type_ids
    second = types.index(1) if 1 in types else len(types)
    if types != [0] * second + [1] * (len(types) - second):
        raise SystemExit(f"token types {types} are no step")
    return cut.ids, second, len(whole.ids) - len(cut.ids)


def cases(judge, pairs):
    """Each pair at some limits, and whole."""
    special = judge.num_special_tokens_to_add(True)
    for i, (a, b) in enumerate(pairs):
        for limit in {0, *(max(1, special + (i * 5 + k * 13) % 38)
                           for k in range(3))}:
            yield [a, b, limit, *answer(judge, a, b, limit)]


def write():
    strings = tokenizer_oracle.Strings(13)
    rows = []
    for name, _, document in documents():
        judge = Tokenizer.from_str(json.dumps(document))
        pairs = [(a[:24], b[:24]) for a, b in pairs_of(strings, 5)]
        rows.append({"of": name, "post_processor": document["post_processor"],
                     "pairs": list(cases(judge, pairs))})
    return json.dumps(rows, separators=(",", ":")).replace(
        '{"of"', '\n{"of"') + "\n"


def hold(command, name, document, pairs):
    judge = Tokenizer.from_str(json.dumps(document))
    wanted = list(cases(judge, pairs))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        words = [w.replace("{path}", file.name) for w in shlex.split(command)]
        lines = "".join(json.dumps(row[:3]) + "\n" for row in wanted)
        done = subprocess.run(words, input=lines.encode(), check=False,
                              capture_output=True)
    if done.returncode:
        print(f"{name}: status {done.returncode}: {done.stderr.decode()}")
        return 1, len(wanted)
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    wrong = len(wanted) != len(answers)
    for row, got in zip(wanted, answers):
        if got == row[3:]:
            continue
        wrong += 1
        if wrong <= 3:
            print(f"{name}: {ascii(row[:3])}\n  got      {got}\n"
                  f"  expected {row[3:]}")
    return wrong, len(wanted)


def compare(options):
    strings = tokenizer_oracle.Strings(options.seed)
    wrong = total = rows = 0
    for name, kind, document in documents():
        one, count = hold(options.command, f"{name} {kind}", document,
                          list(pairs_of(strings, options.count)))
        wrong, total, rows = wrong + one, total + count, rows + 1
    print(f"{rows} tokenizers, {total} rows of pairs: {wrong} differences")
    sys.exit(1 if wrong else 0)


def main():
    options = tokenizer_oracle.reference_parser(__doc__).parse_args()
    tokenizer_oracle.made_with(tokenizers, unicode_tables.PINNED)
    if options.command:
        compare(options)
    text = write()
    changed = not FIXTURE.exists() or FIXTURE.read_text("utf-8") != text
    if changed and not options.check:
        FIXTURE.write_text(text, "utf-8")
    verb = "would change" if options.check else "wrote"
    print(f"{verb} {FIXTURE.name}" if changed else "pairs.json is as it would be")
    sys.exit(1 if changed and options.check else 0)


if __name__ == "__main__":
    main()
