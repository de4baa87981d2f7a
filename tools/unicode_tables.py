#!/usr/bin/env python3
"""Make src/text/unicode_tables.{h,c} and the digests that test them.

    python3 tools/unicode_tables.py            write all three files
    python3 tools/unicode_tables.py --check    exit 1 if they would change

Every fact is asked of the `tokenizers` package, code point by code point,
because no published Unicode version gives the same answers as it does. What
the package cannot be asked directly (the order of combining marks) is asked
through pairs. The tables are then held against the package once more: every
code point between marks of every combining class.
"""

import argparse
import functools
import hashlib
import json
import pathlib
import sys

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

PINNED = "0.23.3"
ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "src/text/unicode_tables.h"
SOURCE = ROOT / "src/text/unicode_tables.c"
DIGESTS = ROOT / "tests/fixtures/text/unicode_digests.txt"

LIMIT = 0x110000
CODES = [c for c in range(LIMIT) if not 0xD800 <= c <= 0xDFFF]
FLAGS = [
    ("DROP", "clean_text removes it"),
    ("SPACE", "clean_text makes it U+0020"),
    ("CJK", "handle_chinese_chars puts spaces around it"),
    ("STRIP", "strip_accents gives something else: unicode_strip"),
    ("BARRIER", "removed by strip_accents, yet marks do not move over it"),
    ("MARK", "survives strip_accents and moves: unicode_class"),
    ("LOWER", "lowercase gives something else: unicode_lower"),
    ("WHITE", "BertPreTokenizer splits at it and drops it"),
    ("PUNCT", "BertPreTokenizer makes it a word of its own"),
    ("WORD", "no added token with single_word stands beside it"),
    ("STRIPPED", "an added token with lstrip or rstrip takes it along"),
]
BIT = {name: 1 << i for i, (name, _) in enumerate(FLAGS)}
HANGUL = range(0xAC00, 0xAC00 + 11172)
BLOCK = 128
MULTI = 1 << 31
LAST, FIRST = "\u0345", "\u0334"  # the classes 240 and 1


def bert(**options):
    every = dict(clean_text=False, handle_chinese_chars=False,
                 strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**every, **options}).normalize_str


clean = bert(clean_text=True)
chinese = bert(handle_chinese_chars=True)
strip = bert(strip_accents=True)
lower = bert(lowercase=True)
everything = bert(clean_text=True, handle_chinese_chars=True,
                  strip_accents=True, lowercase=True)
nfd = normalizers.NFD().normalize_str
bert_words = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def neighbours():
    """The code points that are \\w and \\s beside an added token."""

    def tokenizer(**flags):
        token = dict(id=1, content="@", single_word=False, lstrip=False,
                     rstrip=False, normalized=False, special=False)
        return Tokenizer.from_str(json.dumps({
            "version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{**token, **flags}], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None,
            "model": {"type": "WordLevel", "unk_token": "?",
                      "vocab": {"?": 0, "@": 1}}}))

    def ids(tokenizer, form):
        texts = [form % chr(c) for c in CODES]
        return [e.ids for e in tokenizer.encode_batch(texts)]

    # "@" that stands beside a \w is not found; a \s goes into the token.
    before = ids(tokenizer(single_word=True), "%s@")
    after = ids(tokenizer(single_word=True), "@%s")
    left = ids(tokenizer(lstrip=True), "%s@")
    right = ids(tokenizer(rstrip=True), "@%s")
    at = CODES.index(ord("@"))
    before[at] = after[at] = left[at] = right[at] = [1, 0]
    word = {c for c, i in zip(CODES, before) if 1 not in i}
    space = {c for c, i in zip(CODES, left) if i == [1]}
    assert word == {c for c, i in zip(CODES, after) if 1 not in i}
    assert space == {c for c, i in zip(CODES, right) if i == [1]}
    return word, space


def word_class(text):
    found = [piece for piece, _ in bert_words("a" + text + "a")]
    kinds = {("a", "a"): "WHITE", ("a", text, "a"): "PUNCT",
             ("a" + text + "a",): None}
    return kinds[tuple(found)]


def moves(text):
    """Whether a combining mark is reordered against others at all."""
    return nfd(text + FIRST) != text + FIRST or nfd(LAST + text) != LAST + text


def mark_classes(marks):
    """Ranks, from 1, that order MARKS as the package's NFD orders them."""

    def compare(a, b):
        if nfd(b + a) == a + b:
            return -1
        return 1 if nfd(a + b) == b + a else 0

    ranks, before = {}, None
    rank = 0
    for mark in sorted(marks, key=functools.cmp_to_key(compare)):
        if before is None or compare(before, mark):
            rank += 1
        ranks[mark] = rank
        before = mark
    return ranks


def probe():
    flags = dict.fromkeys(CODES, 0)
    stripped, lowered = {}, {}
    word, space = neighbours()
    for c in CODES:
        s = chr(c)
        r = clean(s)
        assert r in (s, "", " "), hex(c)
        flags[c] |= BIT["DROP"] * (r == "") | BIT["SPACE"] * (r == " " != s)
        r = chinese(s)
        assert r in (s, f" {s} "), hex(c)
        flags[c] |= BIT["CJK"] * (r != s)
        r = strip(s)
        if r != s:
            stripped[c] = r
            flags[c] |= BIT["STRIP"]
        r = lower(s)
        if r != s:
            lowered[c] = r
            flags[c] |= BIT["LOWER"]
        kind = word_class(s)
        flags[c] |= BIT[kind] if kind else 0
        flags[c] |= BIT["WORD"] * (c in word) | BIT["STRIPPED"] * (c in space)
    marks = [chr(c) for c in CODES if c not in stripped and moves(chr(c))]
    classes = mark_classes(marks)
    for mark in marks:
        assert ord(mark) not in lowered
        flags[ord(mark)] |= BIT["MARK"]
    ladder = [min(m for m in marks if classes[m] == rank)
              for rank in range(max(classes.values()), 0, -1)]
    high, low = ladder[0], ladder[-1]
    for c, r in stripped.items():
        if not r and strip(high + chr(c) + low) == high + low:
            flags[c] |= BIT["BARRIER"]
    check(flags, stripped, classes, ladder)
    return flags, stripped, lowered, classes, ladder


def check(flags, stripped, classes, ladder):
    """The tables, used as normalize.c uses them, against the package."""
    ladder = "".join(ladder)
    for c in CODES:
        text = ladder + chr(c) + ladder
        out, pending = [], []
        for s in text:
            for piece in stripped.get(ord(s), s):
                if piece in classes:
                    pending.append(piece)
                else:
                    out += sorted(pending, key=classes.get) + [piece]
                    pending = []
            if flags[ord(s)] & BIT["BARRIER"]:
                out += sorted(pending, key=classes.get)
                pending = []
        out += sorted(pending, key=classes.get)
        assert "".join(out) == strip(text), hex(c)
    for c in HANGUL:
        i = c - HANGUL.start
        l, v, t = 0x1100 + i // 588, 0x1161 + i % 588 // 28, 0x11A7 + i % 28
        assert stripped[c] == chr(l) + chr(v) + (chr(t) if i % 28 else "")


def pack(mapping, pool):
    rows = []
    for c, text in sorted(mapping.items()):
        if c in HANGUL or not text:
            continue
        to = ord(text) if len(text) == 1 else None
        if to is None:
            assert len(text) <= 15
            to = MULTI | len(pool) << 4 | len(text)
            pool += map(ord, text)
        rows.append((c, to))
    return rows


def numbers(values):
    lines, line = [], ""
    for value in values:
        text = f"{value},"
        if len(line) + len(text) > 80:
            lines.append(line)
            line = ""
        line += text
    return "\n".join(lines + [line])


def pairs(rows):
    return numbers([f"{{{a},{b}}}" for a, b in rows])


def header(stripped, lowered, classes):
    longest = max(map(len, [*stripped.values(), *lowered.values()]))
    flags = "\n".join(f"    UNICODE_{name} = 1 << {i}, /* {text} */"
                      for i, (name, text) in enumerate(FLAGS))
    return f"""/* unicode_tables.h - what a code point is to a BERT tokenizer.
 *
 * Generated by tools/unicode_tables.py from the behaviour of the package
 * tokenizers {PINNED}: change that program, not this file. No published
 * Unicode version gives the same answers.
 */

#ifndef TEXT_UNICODE_TABLES_H
#define TEXT_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
enum {{
{flags}
}};
/* clang-format on */

enum {{ UNICODE_MAPPED_MAX = {longest}, UNICODE_CLASS_MAX = {max(classes.values())} }};

/* CODE is below 0x110000 in all of them. */
uint16_t unicode_flags(uint32_t code);

/* What is left of a code point with UNICODE_STRIP after canonical
 * decomposition and the removal of marks: 0 to UNICODE_MAPPED_MAX code points
 * into OUT, the count returned. */
size_t unicode_strip(uint32_t code, uint32_t out[UNICODE_MAPPED_MAX]);

/* Lower case of a code point with UNICODE_LOWER; it depends on no context. */
size_t unicode_lower(uint32_t code, uint32_t out[UNICODE_MAPPED_MAX]);

/* Marks in a row are ordered by this, lowest first, equal ones as they came:
 * 1 to UNICODE_CLASS_MAX, 0 for all that is not UNICODE_MARK. No mark has
 * another lower case. */
unsigned unicode_class(uint32_t code);

#endif
"""


FUNCTIONS = """
uint16_t unicode_flags(uint32_t code) {
    uint32_t page = PAGES[code >> BLOCK_BITS];
    uint32_t place = code & ((1u << BLOCK_BITS) - 1);
    return KINDS[BLOCKS[page << BLOCK_BITS | place]];
}

static size_t mapped(const struct unicode_pair *pairs, size_t count,
                     uint32_t code, uint32_t *out) {
    const struct unicode_pair *pair = unicode_pair_find(pairs, count, code);
    if (!pair)
        return 0;
    if (!(pair->to & MULTI)) {
        out[0] = pair->to;
        return 1;
    }
    size_t length = pair->to & 15;
    memcpy(out, POOL + ((pair->to & ~MULTI) >> 4), length * sizeof *out);
    return length;
}

size_t unicode_strip(uint32_t code, uint32_t out[UNICODE_MAPPED_MAX]) {
    size_t letters = unicode_hangul(code, out);
    if (letters)
        return letters;
    return mapped(STRIP, sizeof STRIP / sizeof *STRIP, code, out);
}

size_t unicode_lower(uint32_t code, uint32_t out[UNICODE_MAPPED_MAX]) {
    return mapped(LOWER, sizeof LOWER / sizeof *LOWER, code, out);
}

unsigned unicode_class(uint32_t code) {
    const struct unicode_pair *pair =
        unicode_pair_find(CLASSES, sizeof CLASSES / sizeof *CLASSES, code);
    return pair ? pair->to : 0;
}
"""


def source(flags, stripped, lowered, classes):
    kinds = sorted({0} | set(flags.values()))
    number = {kind: i for i, kind in enumerate(kinds)}
    assert len(kinds) < 256
    blocks, pages = {}, []
    for start in range(0, LIMIT, BLOCK):
        block = tuple(number[flags.get(c, 0)]
                      for c in range(start, start + BLOCK))
        pages.append(blocks.setdefault(block, len(blocks)))
    pool = []
    strip_rows, lower_rows = pack(stripped, pool), pack(lowered, pool)
    class_rows = sorted((ord(m), rank) for m, rank in classes.items())
    assert len(blocks) < 65536
    return f"""/* Generated by tools/unicode_tables.py from tokenizers {PINNED}. */

#include "text/unicode_tables.h"

#include <string.h>

#include "text/unicode_pair.h"

#define BLOCK_BITS {BLOCK.bit_length() - 1}
/* `to` is then a length (4 bits) and above it a place in POOL. */
#define MULTI      0x80000000u

/* clang-format off */
static const uint16_t KINDS[] = {{
{numbers(kinds)}
}};
static const uint16_t PAGES[] = {{
{numbers(pages)}
}};
static const uint8_t BLOCKS[] = {{
{numbers([v for block in blocks for v in block])}
}};
static const uint32_t POOL[] = {{
{numbers(pool)}
}};
static const struct unicode_pair STRIP[] = {{
{pairs(strip_rows)}
}};
static const struct unicode_pair LOWER[] = {{
{pairs(lower_rows)}
}};
static const struct unicode_pair CLASSES[] = {{
{pairs(class_rows)}
}};
/* clang-format on */
{FUNCTIONS}"""


def digests(flags, ladder):
    """A line a 1,024 code points: SHA-256 over the package's own answers."""
    ladder = "".join(ladder)
    lines = [f"# Generated by tools/unicode_tables.py from tokenizers {PINNED}:",
             "# first code point, then 16 digits of SHA-256 over the answers of",
             "# the package. The marks of every combining class:",
             "ladder " + " ".join(f"{ord(m):X}" for m in ladder)]
    for start in range(0, LIMIT, 1024):
        sha = hashlib.sha256()
        for c in range(start, start + 1024):
            if c not in flags:
                continue
            s = chr(c)
            answers = [clean(s), chinese(s), strip(s), lower(s), everything(s),
                       strip(ladder + s + ladder),
                       *(piece for piece, _ in bert_words("a" + s + "a")),
                       "w" if flags[c] & BIT["WORD"] else "-",
                       "s" if flags[c] & BIT["STRIPPED"] else "-"]
            for answer in answers:
                sha.update(answer.encode() + b"\xff")
        lines.append(f"{start:X} {sha.hexdigest()[:16]}")
    return "\n".join(lines) + "\n"


def make():
    """The text of each file that the probe of the pinned package makes."""
    flags, stripped, lowered, classes, ladder = probe()
    return {HEADER: header(stripped, lowered, classes),
            SOURCE: source(flags, stripped, lowered, classes),
            DIGESTS: digests(flags, ladder)}


def generate(description, make):
    """The command line of a generator: MAKE gives {path: text}."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing, exit 1 if a file would change")
    options = parser.parse_args()
    if tokenizers.__version__ != PINNED:
        sys.exit(f"tokenizers {tokenizers.__version__} is installed, these "
                 f"tables are pinned to {PINNED}: install that one, or change "
                 "PINNED and look at what changes")
    texts = make()
    changed = [path for path, text in texts.items()
               if not path.exists() or path.read_text("utf-8") != text]
    for path in [] if options.check else changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], "utf-8")
    verb = "would change" if options.check else "wrote"
    print("\n".join(f"{verb} {p.relative_to(ROOT)}, {len(texts[p])} bytes"
                    for p in changed) or "all files are as they would be made")
    sys.exit(1 if changed and options.check else 0)


if __name__ == "__main__":
    generate(__doc__, make)
