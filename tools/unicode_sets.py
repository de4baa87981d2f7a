#!/usr/bin/env python3
"""Make src/text/unicode_sets.{h,c}, src/text/unicode_forms.{h,c} and the
digests that test them.

    python3 tools/unicode_sets.py            write all five files
    python3 tools/unicode_sets.py --check    exit 1 if they would change

What the parts of a tokenizer.json other than BERT's ask of a code point: its
set in a pattern, where it splits, its normal forms. As in unicode_tables.py
every fact is asked of the `tokenizers` package: its parts carry four different
versions of Unicode, and none of them is the newest.
"""

import functools
import hashlib
import struct

from tokenizers import Regex, normalizers, pre_tokenizers

from unicode_tables import BLOCK, CODES, LIMIT, MULTI, PINNED, ROOT, generate, numbers

FILES = {"sets.h": ROOT / "src/text/unicode_sets.h",
         "sets.c": ROOT / "src/text/unicode_sets.c",
         "forms.h": ROOT / "src/text/unicode_forms.h",
         "forms.c": ROOT / "src/text/unicode_forms.c",
         "digests": ROOT / "tests/fixtures/text/unicode_set_digests.txt"}
ALL = "".join(map(chr, CODES))
KINDS = """Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So
Zs Zl Zp Cc Cf Cs Co Cn""".split()
FLAGS = [
    ("S", "\\\\s in a pattern"),
    ("D", "\\\\d in a pattern"),
    ("W", "\\\\w in a pattern"),
    ("C", "\\\\w in [..] of a pattern, which is not the same"),
    ("HAN", "\\\\p{Han} in a pattern"),
    ("WORD", "Whitespace makes words of it"),
    ("SPACE", "Whitespace drops it"),
    ("WHITE", "WhitespaceSplit and Strip drop it"),
    ("PUNCT", "Punctuation splits at it"),
    ("DIGIT", "Digits splits at it"),
    ("MARK", "StripAccents drops it"),
    ("JOINS", "in one grapheme with what stands before it"),
    ("SPACING", "and of those one that keeps a picture from what follows"),
    ("CONTROL", "a grapheme of its own, whatever follows"),
    ("PREPEND", "in one grapheme with what follows"),
    ("PICTURE", "in one grapheme with a picture and a joiner before it"),
    ("NFC", "NFC gives something else"),
    ("NFD", "NFD gives something else"),
    ("NFKC", "NFKC gives something else"),
    ("NFKD", "NFKD gives something else"),
    ("STARTS", "no normal form moves or joins what stands before it and it"),
]
BIT = {name: 1 << 8 + i for i, (name, _) in enumerate(FLAGS)}
FORMS = {name: getattr(normalizers, name)().normalize_str
         for name in ("NFC", "NFD", "NFKC", "NFKD")}
nfc, nfd = FORMS["NFC"], FORMS["NFD"]
HANGUL = range(0xAC00, 0xAC00 + 11172)
JAMO = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]


def matches(pattern):
    """The code points that PATTERN matches."""
    found = set()
    for start in range(0, len(ALL), 1 << 16):
        part = ALL[start:start + (1 << 16)]
        mark = "a" if pattern == "[^a]" else "\u0001"
        done = normalizers.Replace(Regex(pattern), mark).normalize_str(part)
        assert len(done) == len(part)
        found |= {ord(a) for a, b in zip(part, done) if a != b}
    if 1 not in found and normalizers.Replace(
            Regex(pattern), "x").normalize_str("\u0001") == "x":
        found.add(1)
    return found


def charsmap():
    """A Precompiled map in which every code point but NUL becomes "X": what
    comes out counts the graphemes below six bytes."""
    units, blocks = {}, 1  # blocks of 256 units; 0 is the root's own

    def unit(label, at, block, leaf):
        # The place that a unit leads to is its own ^ its offset.
        return label | leaf << 8 | 1 << 9 | (at >> 8 ^ block) << 10

    children = {}
    for c in CODES[1:]:
        code = chr(c).encode()
        for i in range(1, len(code) + 1):
            children.setdefault(code[:i - 1], set()).add(code[:i])
    leaves = {chr(c).encode() for c in CODES[1:]}
    # One block for all leaves: the value 0 in all its units.
    leaf_block, blocks = blocks, blocks + 1
    units.update(dict.fromkeys(range(leaf_block * 256, blocks * 256), 0))
    place, block_of = {b"": 0}, {}
    for node in sorted(children, key=lambda n: (len(n), n)):
        block_of[node] = blocks
        blocks += 1
    units[0] = unit(0, 0, block_of[b""], 0)
    for node in sorted(children, key=lambda n: (len(n), n)):
        for child in children[node]:
            at = block_of[node] * 256 + (place[node] & 0xFF ^ child[-1])
            leaf = child in leaves
            place[child] = at
            units[at] = unit(child[-1], at, leaf_block if leaf else
                             block_of[child], leaf)
    array = bytearray(blocks * 1024)
    # An unused unit must not answer to any label.
    for at in range(blocks * 256):
        struct.pack_into("<I", array, at * 4, units.get(at, 1 << 31))
    return struct.pack("<I", len(array)) + bytes(array) + b"X\0"


def graphemes(flags):
    count = normalizers.Precompiled(charsmap()).normalize_str

    def joined(text, alone):
        done = count(text)
        assert set(done) <= {"X"}, ascii(done)
        return len(done) < alone

    for c in CODES[1:]:
        s = chr(c)
        if joined("a" + s, 2):
            flags[c] |= BIT["JOINS"]
            # A picture, a joiner and a picture are one grapheme, and then
            # all is taken one by one; else the last two are one of their own.
            if joined("\U0001f469" + s + "\u200d\u00a9\u0300", 5):
                flags[c] |= BIT["SPACING"]
        # U+0300 joins whatever is no control
        if len(s.encode()) < 4 and not joined(s + "\u0300", 2):
            flags[c] |= BIT["CONTROL"]
        # Of four bytes: two signs that join what follows are one grapheme of
        # four bytes before a control; before all else it is of eight, and
        # taken one by one.
        if len(s.encode()) == 4 and joined("\u0600\u0600" + s, 3):
            flags[c] |= BIT["CONTROL"]
        if joined(s + "a", 2) and c != 13:
            flags[c] |= BIT["PREPEND"]
        # copyright sign, joiner: 5 bytes, with a picture 7 and so one by one
        if not joined("\u00a9\u200d" + s, 3) and not flags[c] & BIT["JOINS"]:
            flags[c] |= BIT["PICTURE"]
    assert joined("\r\n", 2) and not joined("\n\r", 2)
    flags[0] |= BIT["CONTROL"]
    for c in range(0x10000, LIMIT):
        # A carriage return joins none of these.
        if c in flags and joined(chr(c) + "\r", 2):
            raise AssertionError(hex(c))


def kinds(text, split):
    return [piece for piece, _ in split.pre_tokenize_str(text)]


def probe():
    flags = dict.fromkeys(CODES, 0)
    seen = set()
    for number, name in enumerate(KINDS):
        if name == "Cs":
            continue
        found = matches(f"\\p{{{name}}}")
        assert not found & seen
        seen |= found
        for c in found:
            flags[c] |= number
    assert len(seen) == len(CODES), [hex(c) for c in CODES if c not in seen][:9]
    for letter in "LMNPSZC":
        whole = {c for c in CODES if KINDS[flags[c]][0] == letter}
        assert matches(f"\\p{{{letter}}}") == whole, letter
    for name, pattern in (("S", "\\s"), ("D", "\\d"), ("W", "\\w"), ("C", "[\\w]"),
                          ("HAN", "\\p{Han}")):
        for c in matches(pattern):
            flags[c] |= BIT[name]
    splits = {"words": pre_tokenizers.Whitespace(),
              "white": pre_tokenizers.WhitespaceSplit(),
              "punct": pre_tokenizers.Punctuation(),
              "digits": pre_tokenizers.Digits(individual_digits=True)}
    strip = normalizers.Strip().normalize_str
    accents = normalizers.StripAccents().normalize_str
    for c in CODES:
        s = chr(c)
        found = kinds("a" + s + "+", splits["words"])
        where = {("a", "+"): "SPACE", ("a" + s, "+"): "WORD",
                 ("a", s + "+"): None}[tuple(found)]
        flags[c] |= BIT[where] if where else 0
        white = kinds("a" + s + "a", splits["white"]) == ["a", "a"]
        assert white == (strip(s) == "") == (strip("a" + s) == "a")
        flags[c] |= BIT["WHITE"] * white
        flags[c] |= BIT["PUNCT"] * (len(kinds("ab" if s == "a" else "a" + s,
                                              splits["punct"])) == 2)
        flags[c] |= BIT["DIGIT"] * (len(kinds("a" + s, splits["digits"])) == 2)
        flags[c] |= BIT["MARK"] * (accents(s) == "")
        for name, form in FORMS.items():
            flags[c] |= BIT[name] * (form(s) != s)
    graphemes(flags)
    return flags


def ranks():
    """Marks that move, with a rank from 1 that orders them."""
    last, first = "\u0345", "\u0334"  # the classes 240 and 1
    # Decomposed on their own, or the order of their parts would be seen.
    marks = [s for s in ALL if nfd(s) == s and
             (nfd(s + first) != s + first or nfd(last + s) != last + s)]

    def compare(a, b):
        if nfd(b + a) == a + b:
            return -1
        return 1 if nfd(a + b) == b + a else 0

    found, rank, before = {}, 0, None
    for mark in sorted(marks, key=functools.cmp_to_key(compare)):
        if before is None or compare(before, mark):
            rank += 1
        found[mark] = rank
        before = mark
    return found


def compositions():
    pairs = {}
    for c in CODES:
        whole = nfd(chr(c))
        if c in HANGUL or whole == chr(c) or nfc(whole) != chr(c):
            continue
        first, second = nfc(whole[:-1]), whole[-1]
        assert len(first) == 1 and nfc(first + second) == chr(c), hex(c)
        pairs[first, second] = chr(c)
    return pairs


def check(flags, rank, pairs):
    """STARTS, and the forms as normal_form.c makes them."""
    seconds = {b for _, b in pairs} | {chr(c) for c in JAMO}
    for c in CODES:
        for form in ("NFD", "NFKD"):
            first = FORMS[form](chr(c))[0]
            if first in rank or first in seconds:
                break
        else:
            flags[c] |= BIT["STARTS"]
    ladder = [min(m for m in rank if rank[m] == r and m not in seconds)
              if any(rank[m] == r and m not in seconds for m in rank) else
              min(m for m in rank if rank[m] == r)
              for r in range(max(rank.values()), 0, -1)]
    return "".join(ladder[::9])


def decompositions(form, base=None):
    """What FORM gives, where it is not what BASE gives."""
    table = {}
    for c in CODES:
        to = FORMS[form](chr(c))
        if c in HANGUL or to == (FORMS[base](chr(c)) if base else chr(c)):
            continue
        assert 0 < len(to) <= 31
        table[c] = to
    return table


def pack(table, pool):
    rows = []
    for c, text in sorted(table.items()):
        if len(text) == 1:
            rows.append((c, ord(text)))
            continue
        rows.append((c, MULTI | len(pool) << 5 | len(text)))
        pool += map(ord, text)
    return numbers([f"{{{a},{b}}}" for a, b in rows])


def sets_header():
    flags = "\n".join(f"    SET_{name} = 1 << {8 + i}, /* {text} */"
                      for i, (name, text) in enumerate(FLAGS))
    flags = flags.replace("\\\\", "\\")
    kind = ", ".join(f"KIND_{name.upper()}" for name in KINDS)
    return f"""/* unicode_sets.h - what a code point is to the parts of a tokenizer.json that
 * are not BERT's.
 *
 * Generated by tools/unicode_sets.py from the behaviour of the package
 * tokenizers {PINNED}: change that program, not this file. Each part has the
 * Unicode version of its own, so that no two of these say the same.
 */

#ifndef TEXT_UNICODE_SETS_H
#define TEXT_UNICODE_SETS_H

#include <stdint.h>

/* clang-format off */
enum {{
{flags}
}};

/* The general categories of a pattern's \\p{{..}}. */
enum {{ {kind}, KINDS }};
/* clang-format on */

/* CODE is below 0x110000: the flags, and below them one of the kinds. */
uint32_t unicode_set(uint32_t code);

static inline unsigned unicode_kind(uint32_t set) {{
    return set & 0xFF;
}}

#endif
"""


def sets_source(flags):
    distinct = sorted(set(flags.values()))
    number = {kind: i for i, kind in enumerate(distinct)}
    assert len(distinct) <= 256, len(distinct)
    unassigned = flags[0xE0080]
    blocks, pages = {}, []
    for start in range(0, LIMIT, BLOCK):
        block = tuple(number[flags.get(c, unassigned)]
                      for c in range(start, start + BLOCK))
        pages.append(blocks.setdefault(block, len(blocks)))
    return f"""/* Generated by tools/unicode_sets.py from tokenizers {PINNED}. */

#include "text/unicode_sets.h"

#define BLOCK_BITS {BLOCK.bit_length() - 1}

/* clang-format off */
static const uint32_t FLAGS[] = {{
{numbers(distinct)}
}};
static const uint16_t PAGES[] = {{
{numbers(pages)}
}};
static const uint8_t BLOCKS[] = {{
{numbers([v for block in blocks for v in block])}
}};
/* clang-format on */

uint32_t unicode_set(uint32_t code) {{
    uint32_t page = PAGES[code >> BLOCK_BITS];
    uint32_t place = code & ((1u << BLOCK_BITS) - 1);
    return FLAGS[BLOCKS[page << BLOCK_BITS | place]];
}}
"""


def forms_header(longest, rank):
    return f"""/* unicode_forms.h - what the normal forms are made of.
 *
 * Generated by tools/unicode_sets.py from the behaviour of the package
 * tokenizers {PINNED}: change that program, not this file.
 */

#ifndef TEXT_UNICODE_FORMS_H
#define TEXT_UNICODE_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {{ FORM_MAX = {longest}, FORM_RANKS = {max(rank.values())} }};

/* CODE (below 0x110000) decomposed to the end, compatibility ones too if
 * COMPATIBLE: 1 to FORM_MAX code points into OUT, the count returned. */
size_t form_decompose(uint32_t code, bool compatible, uint32_t out[FORM_MAX]);

/* The order of marks in a row, 1 to FORM_RANKS; 0 for what does not move. */
unsigned form_rank(uint32_t code);

/* What A and B become together; 0: they stay two. */
uint32_t form_compose(uint32_t a, uint32_t b);

#endif
"""


FORMS_CODE = """
size_t form_decompose(uint32_t code, bool compatible, uint32_t out[FORM_MAX]) {
    size_t letters = unicode_hangul(code, out);
    if (letters)
        return letters;
    const struct unicode_pair *pair = NULL;
    if (compatible)
        pair = unicode_pair_find(
            COMPATIBLE, sizeof COMPATIBLE / sizeof *COMPATIBLE, code);
    if (!pair)
        pair = unicode_pair_find(CANONICAL,
                                 sizeof CANONICAL / sizeof *CANONICAL, code);
    if (!pair || !(pair->to & MULTI)) {
        out[0] = pair ? pair->to : code;
        return 1;
    }
    size_t length = pair->to & 31;
    memcpy(out, POOL + ((pair->to & ~MULTI) >> 5), length * sizeof *out);
    return length;
}

unsigned form_rank(uint32_t code) {
    const struct unicode_pair *pair =
        unicode_pair_find(RANKS, sizeof RANKS / sizeof *RANKS, code);
    return pair ? pair->to : 0;
}

static uint32_t compose_hangul(uint32_t a, uint32_t b) {
    uint32_t l = a - HANGUL_L, v = b - HANGUL_V;
    uint32_t s = a - HANGUL_S, t = b - HANGUL_T;
    if (l < HANGUL_L_COUNT && v < HANGUL_V_COUNT)
        return HANGUL_S + (l * HANGUL_V_COUNT + v) * HANGUL_T_COUNT;
    if (s < HANGUL_S_COUNT && s % HANGUL_T_COUNT == 0 &&
        t - 1 < HANGUL_T_COUNT - 1)
        return a + t;
    return 0;
}

uint32_t form_compose(uint32_t a, uint32_t b) {
    size_t low = 0, high = sizeof COMPOSED / sizeof *COMPOSED;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const uint32_t *row = COMPOSED[middle];
        if (row[0] == a && row[1] == b)
            return row[2];
        if (row[0] < a || (row[0] == a && row[1] < b))
            low = middle + 1;
        else
            high = middle;
    }
    return compose_hangul(a, b);
}
"""


def forms_source(rank, pairs, canonical, compatible):
    pool = []
    rows = [pack(canonical, pool), pack(compatible, pool)]
    ranked = numbers([f"{{{ord(m)},{r}}}" for m, r in sorted(rank.items())])
    composed = numbers([f"{{{ord(a)},{ord(b)},{ord(c)}}}"
                        for (a, b), c in sorted(pairs.items())])
    return f"""/* Generated by tools/unicode_sets.py from tokenizers {PINNED}. */

#include "text/unicode_forms.h"

#include <string.h>

#include "text/unicode_pair.h"

/* `to` is then a length (5 bits) and above it a place in POOL. */
#define MULTI 0x80000000u

/* clang-format off */
static const uint32_t POOL[] = {{
{numbers(pool)}
}};
static const struct unicode_pair CANONICAL[] = {{
{rows[0]}
}};
static const struct unicode_pair COMPATIBLE[] = {{
{rows[1]}
}};
static const struct unicode_pair RANKS[] = {{
{ranked}
}};
static const uint32_t COMPOSED[][3] = {{
{composed}
}};
/* clang-format on */
{FORMS_CODE}"""


def digests(ladder):
    """A line a 1,024 code points: SHA-256 over the package's own answers."""
    lines = [f"# Generated by tools/unicode_sets.py from tokenizers {PINNED}:",
             "# first code point, then 16 digits of SHA-256 over the four",
             "# forms of each code point alone, and below U+20000 with these",
             "# marks on both sides:",
             "ladder " + " ".join(f"{ord(m):X}" for m in ladder)]
    for start in range(0, LIMIT, 1024):
        sha = hashlib.sha256()
        for c in range(start, start + 1024):
            if 0xD800 <= c <= 0xDFFF:
                continue
            texts = [chr(c), ladder + chr(c) + ladder]
            for text in texts[:1 + (c < 0x20000)]:
                for form in FORMS.values():
                    sha.update(form(text).encode() + b"\xff")
        lines.append(f"{start:X} {sha.hexdigest()[:16]}")
    return "\n".join(lines) + "\n"


def make():
    flags, rank, pairs = probe(), ranks(), compositions()
    ladder = check(flags, rank, pairs)
    canonical = decompositions("NFD")
    compatible = decompositions("NFKD", "NFD")
    longest = max(map(len, [*canonical.values(), *compatible.values()]))
    return {"sets.h": sets_header(), "sets.c": sets_source(flags),
            "forms.h": forms_header(longest, rank),
            "forms.c": forms_source(rank, pairs, canonical, compatible),
            "digests": digests(ladder)}


if __name__ == "__main__":
    generate(__doc__, lambda: {FILES[n]: text for n, text in make().items()})
