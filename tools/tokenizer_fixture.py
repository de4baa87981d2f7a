#!/usr/bin/env python3
"""Make tests/fixtures/text/{tokenizer.json,variants.json,reference.jsonl}.

    python3 tools/tokenizer_fixture.py            write the three files
    python3 tools/tokenizer_fixture.py --check    exit 1 if they would change

A small BERT tokenizer (its pieces are the commonest beginnings and ends of
words in generated strings), the variants of tokenizer_oracle.py, and what the
`tokenizers` package gives for some strings in each of them, so that the unit
test needs no Python. A line of the reference is {"variant", "text", "ids"}, or
{"variant", "times", "count", "sha256"}: all texts of that variant joined by
spaces, TIMES times over, and the digest of the ids as little-endian u32.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import struct
import sys

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

import tokenizer_oracle
import unicode_tables

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures/text"
PIECES = 900
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vocabulary(strings):
    counts = collections.Counter()
    for lowercase in (True, False):
        normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        for text in strings.list(3000)[:3000]:
            text = normalizer.normalize_str(text)
            for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(
                    text):
                for end in range(1, min(6, len(word)) + 1):
                    counts[word[:end]] += 1
                    counts["##" + word[-end:]] += 1
    common = sorted(counts, key=lambda piece: (-counts[piece], piece))
    letters = [c for c in map(chr, range(33, 127)) if not c.isupper()]
    pieces = SPECIALS + letters + ["##" + c for c in letters if c.isalnum()]
    for piece in common:
        # jansson, which reads the file, has no NUL in a key.
        if piece not in pieces and "\0" not in piece and len(pieces) < PIECES:
            pieces.append(piece)
    return {piece: i for i, piece in enumerate(pieces)}


def base(strings):
    special = {"type_id": 0}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [tokenizer_oracle.added(s, special=True, id=i)
                         for i, s in enumerate(SPECIALS)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True,
                       "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", **special}},
                       {"Sequence": {"id": "A", **special}},
                       {"SpecialToken": {"id": "[SEP]", **special}}],
            "pair": [],
            "special_tokens": {s: {"id": s, "ids": [SPECIALS.index(s)],
                                   "tokens": [s]} for s in ("[CLS]", "[SEP]")}},
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]",
                  "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100,
                  "vocab": vocabulary(strings)}}


def make():
    strings = tokenizer_oracle.Strings(7)
    small = base(strings)
    variants, lines = [], []
    for name, change in tokenizer_oracle.VARIANTS.items():
        tokenizer = json.loads(json.dumps(small))
        change(tokenizer)
        judge = Tokenizer.from_str(json.dumps(tokenizer))
        texts = [strings.one() for _ in range(14)]
        texts += [strings.lookalike() for _ in range(6)]
        for text in texts:
            lines.append({"variant": name, "text": text,
                          "ids": judge.encode(text).ids})
        ids = judge.encode(" ".join(texts * 60)).ids
        digest = hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).hexdigest()
        lines.append({"variant": name, "times": 60, "count": len(ids),
                      "sha256": digest})
        del tokenizer["model"]["vocab"]
        variants.append({"name": name, "tokenizer": tokenizer})
    return {
        "tokenizer.json": json.dumps(small, indent=0) + "\n",
        "variants.json": json.dumps(variants, indent=0) + "\n",
        "reference.jsonl": "".join(json.dumps(x) + "\n" for x in lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing, exit 1 if a file would change")
    options = parser.parse_args()
    tokenizer_oracle.made_with(tokenizers, unicode_tables.PINNED)
    texts = make()
    changed = [name for name, text in texts.items()
               if not (FOLDER / name).exists()
               or (FOLDER / name).read_text("utf-8") != text]
    if not options.check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in changed:
            (FOLDER / name).write_text(texts[name], "utf-8")
    verb = "would change" if options.check else "wrote"
    print("\n".join(f"{verb} {name}, {len(texts[name])} bytes"
                    for name in changed) or "all three are as they would be")
    sys.exit(1 if changed and options.check else 0)


if __name__ == "__main__":
    main()
