#!/usr/bin/env python3
"""Make tests/fixtures/text/parts.json, or hold a tokenizer command against it.

    python3 tools/tokenizer_parts.py            write the file
    python3 tools/tokenizer_parts.py --check    exit 1 if it would change
    python3 tools/tokenizer_parts.py --count 100000 --command \\
        'build/test_text_tokenizer --tokenize {path}'
    python3 tools/tokenizer_parts.py --real ../shared/data/tokenizers/*/*.gz \\
        --chunks ../shared/data/chunks --command '...'

Small tokenizers with every part that we have and every option of it turned,
and what the `tokenizers` package gives for some strings in each, so that the
unit test needs no Python: [{"name", "base", "tokenizer", "texts", "ids"}], where
a "model" says what differs from that of the first row with the same base. With --command nothing is
written: all are compared on generated strings (and texts of --chunks), those
files of --real as well. Exit status 1 on any difference.
"""

import base64
import collections
import gzip
import json
import math
import pathlib
import shlex
import struct
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers
from tokenizers import Tokenizer, pre_tokenizers

import tokenizer_oracle
import unicode_tables
from tokenizer_oracle import added

FIXTURE = (pathlib.Path(__file__).resolve().parent.parent /
           "tests/fixtures/text/parts.json")
QWEN = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?"
        "[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
CASED = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|"
         "\\s+(?!\\S)|\\s+")
PATTERNS = [
    QWEN, CASED, "^a|b$|^$", "x*", "a{,2}b?", "a{2,}?|[^a-z]{2,3}", "(ab|a)(c|d)*",
    "(?<=\\s)\\S+(?=\\s)", "(?<!a)a(?!a)", "[\\w\\-.]+", "\\W+|\\d", "[\\]\\[^-]",
    "(?i:ask[a-k])", ".", "a.c", "\\x41|\\u0042|\\x{1F525}", "\\A\\s|\\s\\z",
    "(?>a+)b|a++", "\\p{^Lu}+", "\\P{L}|\\p{Han}+", "[^\\P{P}!]", "{|}|a{|a{x}",
    "\\t|\\n|[\\r\\f]", "((a)|b)+?c", "$", "|a", "a|", "[\\s\\S]{3}", "a?",
    "(?:)", "\\p{Mn}\\p{Nd}*|[\\p{Sc}\\p{Sm}]", "[!-/]+", "\\.|\\*|\\\\",
]


def charsmap(mapping):
    """MAPPING as sentencepiece writes it: a double array and its strings."""
    strings, places = bytearray(), {}
    for value in sorted(set(mapping.values())):
        places[value] = len(strings)
        strings += value.encode() + b"\0"
    children, values = collections.defaultdict(set), {}
    for key, value in mapping.items():
        code = key.encode()
        values[code] = places[value]
        for i in range(len(code)):
            children[code[:i]].add(code[i])
    units, waiting, bases = {0: 0}, [(b"", 0)], set()
    while waiting:
        node, at = waiting.pop(0)
        labels = sorted(children[node]) + [0] * (node in values)
        # One base for one node, or another node's child would be ours.
        base = next(b for b in range(1, 1 << 21) if b not in bases and
                    all(b ^ label not in units for label in labels))
        bases.add(base)
        units[at] |= (at ^ base) << 10
        if node in values:
            units[at] |= 1 << 8
            units[base] = values[node] | 1 << 31
        for label in sorted(children[node]):
            units[base ^ label] = label
            waiting.append((node + bytes([label]), base ^ label))
    size = max(units) + 256 & ~255
    array = b"".join(struct.pack("<I", units.get(i, 1 << 31))
                     for i in range(size))
    return base64.b64encode(struct.pack("<I", len(array)) + array +
                            bytes(strings)).decode()


def small_map():
    mapping = {"\t": " ", "\n": " ", "\r": " ", "\r\n": "  ", "\u00a0": " ",
               "\u3000": " ", "\u200b": "", "\u00ad": "", "\x07": "",
               "e\u0301": "\u00e9", "a\u0301\u0323": "X", "\u0301": "",
               "\u200d": "", "\ufe0f": "", "\u00a9\u200d": "(c)",
               "\u0600": "#", "\u0600a": "never", "\u0915": "ka",
               "\U0001f468": "man", "\u302e": "tone", "aa": "never"}
    for c in [*range(0xA1, 0x180), *range(0x2150, 0x2190),
              *range(0xFF01, 0xFF5F), *range(0x3300, 0x3320)]:
        to = unicodedata.normalize("NFKC", chr(c))
        if to != chr(c):
            mapping[chr(c)] = to
    return mapping


def counted(strings, split):
    words = collections.Counter()
    for text in strings.list(1500)[:1500]:
        words.update(split(text))
    return words


def bytes_of(text):
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return [word for word, _ in split.pre_tokenize_str(text)]


def spaced(text):
    return [("\u2581" + word) for word in text.split(" ") if "\0" not in word]


def learn(words, letters, merges_wanted):
    """BPE the plain way: the commonest pair, again and again."""
    vocab = {piece: i for i, piece in enumerate(letters)}
    words = {tuple(w): n for w, n in words.items()
             if len(w) < 30 and all(c in vocab for c in w)}
    merges = []
    while len(merges) < merges_wanted:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        vocab.setdefault("".join(best), len(vocab))
        changed = {}
        for word, n in words.items():
            made, i = [], 0
            while i < len(word):
                two = word[i:i + 2] == best
                made.append("".join(best) if two else word[i])
                i += 2 if two else 1
            changed[tuple(made)] = changed.get(tuple(made), 0) + n
        words = changed
    return vocab, merges


def byte_level_model(strings):
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab, merges = learn(counted(strings, bytes_of), letters, 150)
    vocab.setdefault("\u0120the\u0120of", len(vocab))  # reached by no merge
    merges.append(("a", "a"))
    vocab.setdefault("aa", len(vocab))
    return {"type": "BPE", "dropout": None, "unk_token": None,
            "continuing_subword_prefix": "", "end_of_word_suffix": "",
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocab, "merges": [" ".join(pair) for pair in merges]}


def plain_model(strings):
    words = counted(strings, spaced)
    letters = [c for c, _ in collections.Counter(
        "".join(w * min(n, 9) for w, n in words.items())).most_common(150)]
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    vocab, merges = learn(words, pieces + [c for c in letters if c != "\0"],
                          150)
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>",
            "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": vocab, "merges": merges}


def affix_model(strings):
    """Characters go on with "##" and end with "</w>"."""
    letters = "abcdeinortsu"
    vocab = {"<unk>": 0}
    merges = []
    for c in letters:
        for form in (c, "##" + c, c + "</w>", "##" + c + "</w>"):
            vocab.setdefault(form, len(vocab))
    for a, b in ["in", "er", "on", "re", "st", "at", "es"]:
        for end in ("", "</w>"):
            for begin in ("", "##"):
                merges.append([begin + a, "##" + b + end])
                vocab.setdefault(begin + a + b + end, len(vocab))
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>",
            "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>",
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocab, "merges": merges}


def unigram_model(strings):
    counts = collections.Counter()
    for word, n in counted(strings, spaced).items():
        for begin in range(min(12, len(word))):
            for end in range(begin + 1, min(begin + 6, len(word)) + 1):
                counts[word[begin:end]] += n
    common = sorted(counts, key=lambda p: (-counts[p] * len(p), p))
    pieces = [p for p in common if "\0" not in p][:500]
    total = sum(counts[p] for p in pieces)
    # Rounded to 32 bits, as scores are: they have 17 digits then.
    scores = [struct.unpack("f", struct.pack("f", math.log(counts[p] / total)))
              for p in pieces]
    vocab = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    vocab += [[p, s] for p, (s,) in zip(pieces, scores)]
    return {"type": "Unigram", "unk_id": 3, "vocab": vocab,
            "byte_fallback": False}


def wordpiece_model(strings):
    del strings
    letters = [chr(c) for c in range(33, 127)] + list("éüß中文かな한각กдж")
    pieces = ["[UNK]", *letters, *("##" + c for c in letters), "the", "##ing",
              "##er", "token", "##ization", "tag", "##-", "\u0301", "##\u0301"]
    return {"type": "WordPiece", "unk_token": "[UNK]",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 50,
            "vocab": {p: i for i, p in enumerate(dict.fromkeys(pieces))}}


def wordlevel_model(strings):
    words = collections.Counter()
    for text in strings.list(1500)[:1500]:
        words.update(text.split())
    pieces = [w for w, _ in words.most_common(150) if "\0" not in w and
              len(w) < 30]
    pieces = ["<unk>", "the", *pieces, " ", "tag", "a", "e"]
    return {"type": "WordLevel", "unk_token": "<unk>",
            "vocab": {p: i for i, p in enumerate(dict.fromkeys(pieces))}}


def part(kind, **options):
    return {"type": kind, **options}


def sequence(name, *parts):
    return {"type": "Sequence", name: list(parts)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return part("Split", pattern={kind: pattern}, behavior=behavior,
                invert=invert)


def metaspace(scheme="always", cut=True):
    return part("Metaspace", replacement="\u2581", prepend_scheme=scheme,
                split=cut)


def byte_level(prefix=False, regex=True):
    return part("ByteLevel", add_prefix_space=prefix, trim_offsets=True,
                use_regex=regex)


def bert(**options):
    return part("BertNormalizer", **{
        "clean_text": True, "handle_chinese_chars": True,
        "strip_accents": None, "lowercase": True, **options})


SPECIALS = [added("<s>", special=True), added("</s>", special=True),
            added("<mask>", special=True, lstrip=True),
            added("foo bar", normalized=True),
            added("tag-a", single_word=True, normalized=True),
            added("lefty", lstrip=True, rstrip=True, normalized=True),
            added("both", lstrip=True, rstrip=True),
            added("Z\u00fcrich", normalized=True),
            added("[MASK]", rstrip=True)]
# A text each, for what chance seldom finds: \w that is none in [..], a mark
# that keeps another from joining, merges of one rank in a row.
BEGINNINGS = ["a b", "\u0301a b", "\u0301\u0302a \u0301b", "\x07a b", "\u00e9 b",
              "\ufffda", " \u0301a", "\u0301 a", "\u4e00\u0301a", "\x07", "\u0344a",
              "\u0903a", "<mask>\u0301a", "\u0301<mask>a", "\u200ba", "\x00a"]
MORE_BEGINNINGS = ["a", "ab b", "\u4e00", "\ufb01a b", "\u00e9\u0323a", "_a",
                   "lefty a", "foo bar", "Qx"]
EXTRA = ["a\u00b2\u00bd.\u00be-x", "q\u0301\u0302e\u035b\u0301", "aaaaaaa aaaa",
         "\u0600\u0600\U0001d178"]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
             "Contiguous"]


def template(before, after):
    def special(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}
    return part("TemplateProcessing",
                single=[*map(special, before),
                        {"Sequence": {"id": "A", "type_id": 0}},
                        *map(special, after)], pair=[],
                special_tokens={t: {"id": t, "ids": [i], "tokens": [t]}
                                for i, t in enumerate(dict.fromkeys(
                                    [*before, *after]))})


def variants(models):
    pre, norm = (lambda *p: sequence("pretokenizers", *p),
                 lambda *p: sequence("normalizers", *p))
    precompiled = part("Precompiled", precompiled_charsmap=charsmap(small_map()))
    roberta = part("RobertaProcessing", sep=["</s>", 2], cls=["<s>", 0],
                   trim_offsets=True, add_prefix_space=False)
    strip = part("Strip", strip_left=True, strip_right=True)
    spaces = part("Replace", pattern={"Regex": " {2,}"}, content=" ")
    yield "gpt2", "bytes", None, byte_level(), byte_level()
    yield "roberta", "bytes", None, byte_level(prefix=True), roberta
    yield ("qwen", "bytes", part("NFC"), pre(split(QWEN), byte_level(
        regex=False)), byte_level())
    yield ("llama 3", {"ignore_merges": True}, None,
           pre(split(CASED), byte_level(regex=False)),
           sequence("processors", byte_level(), template(["<s>"], ["</s>"])))
    yield ("gemma", "plain", part("Replace", pattern={"String": " "},
                                  content="\u2581"),
           split(" ", "MergedWithPrevious", kind="String"),
           template(["<s>"], []))
    yield ("llama", {"base": "plain"}, norm(
        part("Prepend", prepend="\u2581"),
        part("Replace", pattern={"String": " "}, content="\u2581")), None,
        template(["<s>"], []))
    yield ("no bytes, no fusing", {"base": "plain", "byte_fallback": False,
                                   "fuse_unk": False}, part("NFKC"),
           metaspace(), None)
    yield ("fused", {"base": "plain", "byte_fallback": False}, part("NFKD"),
           metaspace("first", False), None)
    yield ("no unknown", {"base": "plain", "byte_fallback": False,
                          "unk_token": None}, None, metaspace("never"), None)
    yield ("affixes", "affix", part("Lowercase"), part("Whitespace"), None)
    yield ("affixes and bytes", {"base": "affix", "fuse_unk": True,
                                 "byte_fallback": True}, None,
           part("WhitespaceSplit"), None)
    yield "xlm-r", "unigram", precompiled, metaspace(), template(
        ["<s>"], ["</s>"])
    yield ("xlm-r of old", "unigram", norm(precompiled, spaces),
           pre(part("WhitespaceSplit"), metaspace()), roberta)
    yield ("albert", "unigram", norm(
        part("Replace", pattern={"String": "``"}, content='"'), part("NFKD"),
        part("StripAccents"), part("Lowercase"), precompiled),
        metaspace(), None)
    yield ("deberta", "unigram", norm(strip, precompiled, spaces),
           metaspace("first"), None)
    yield ("unigram whole", "unigram", None, metaspace("first", False), None)
    yield "unigram bare", "unigram", None, None, None
    yield ("unigram bytes", {"base": "unigram", "byte_fallback": True,
                             "bytes": True}, part("NFD"), metaspace("never"),
           None)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield form, "wordpiece", part(form), part("WhitespaceSplit"), None
    yield "accents", "wordpiece", norm(part("NFD"), part("StripAccents")), part(
        "Whitespace"), None
    yield "left", "wordpiece", norm(part("Strip", strip_left=True,
                                         strip_right=False),
                                    part("Prepend", prepend="##")), part(
        "Whitespace"), None
    yield "bert in a sequence", "wordpiece", norm(
        part("Strip", strip_left=False, strip_right=True), bert(),
        part("Replace", pattern={"String": "the"}, content="er")), pre(
            part("BertPreTokenizer"), part("Digits", individual_digits=True)
        ), None
    for behavior in BEHAVIORS:
        yield (f"punctuation {behavior}", "wordpiece", None, pre(
            part("Punctuation", behavior=behavior), part("WhitespaceSplit")),
            None)
        for invert in (False, True):
            yield (f"split {behavior} {invert}", "wordpiece", None,
                   split("\\s+|[a-e]", behavior, invert), None)
    yield "digits", "wordpiece", None, pre(part(
        "WhitespaceSplit"), part("Digits", individual_digits=False)), None
    yield "split at nothing", "wordpiece", None, split("", kind="String"), None
    for pattern in PATTERNS:
        yield f"split {pattern}", "wordpiece", None, pre(
            split(pattern), part("WhitespaceSplit")), None
    # Patterns that match nothing are left out: `tokenizers` panics.
    for pattern in ("\\s+", "[\\r\\n]{2}", "a+b?|k", "\\p{Mn}|^t", "[^ -~]"):
        for content in ("", "\u00e9 x"):
            yield f"replace {pattern} by {content}", "bytes", part(
                "Replace", pattern={"Regex": pattern}, content=content
            ), byte_level(regex=False), None


def more_variants():
    """Parts that came later: behind the others, which stay as they were."""
    pre, norm = (lambda *p: sequence("pretokenizers", *p),
                 lambda *p: sequence("normalizers", *p))
    delimiter = part("CharDelimiterSplit", delimiter="e")
    precompiled = part("Precompiled", precompiled_charsmap=charsmap(small_map()))
    yield "words", "wordlevel", part("Lowercase"), part("Whitespace"), None
    yield "bert words", "wordlevel", bert(), part(
        "BertPreTokenizer"), template(["<s>"], ["</s>"])
    yield "word", "wordlevel", None, None, None
    yield "words at e", "wordlevel", None, delimiter, None
    yield "pieces at e", "wordpiece", None, pre(part("Whitespace"),
                                                delimiter), None
    yield "bytes at e", "bytes", None, pre(part(
        "CharDelimiterSplit", delimiter="\u00e9"), byte_level()), None
    yield "lengths", "wordpiece", None, pre(part("FixedLength", length=3)), None
    yield "lengths of words", "unigram", None, pre(metaspace(), part(
        "FixedLength", length=2)), None
    yield "nmt", "bytes", part("Nmt"), byte_level(), None
    yield "nmt first", "unigram", norm(part("Nmt"), part("NFKC")), metaspace(
        "first"), None
    yield "byte normalizer", "bytes", part("ByteLevel"), None, None
    yield "byte normalizer and words", "bytes", norm(part("NFC"), part(
        "ByteLevel")), split("\u0120", "MergedWithNext", kind="String"), None
    scripts = part("UnicodeScripts")
    yield "scripts", "wordpiece", None, scripts, None
    yield "scripts of words", "wordlevel", part("Lowercase"), pre(
        part("Whitespace"), scripts), None
    yield "scripts, then spaces", "unigram", precompiled, pre(
        scripts, metaspace()), template(["<s>"], ["</s>"])
    yield "first spaces, then scripts", "unigram", None, pre(
        metaspace("first"), scripts), None
    yield "scripts, then a first space", "unigram", None, pre(
        scripts, metaspace("first")), None
    yield "scripts as bytes", "bytes", part("NFC"), pre(
        scripts, byte_level(prefix=True)), byte_level()
    for strips in (True, False):
        yield f"begins otherwise, {strips}", "unigram", bert(
            lowercase=False, strip_accents=strips), metaspace("first"), None
    strip = part("Strip", strip_left=True, strip_right=False)
    # Several pieces stand where the text begins, and each is a first one.
    prepend = part("Prepend", prepend="_")
    cut, lengths = part("Whitespace"), part("FixedLength", length=1)
    for i, (normalizer, *before) in enumerate([
            (norm(prepend, part("NFC")), cut), (bert(), cut),
            (norm(part("NFD"), prepend, part("StripAccents")), lengths),
            (norm(strip, prepend, part("Replace", pattern={"Regex": "_|a."},
                                       content="ab")), lengths),
            (norm(prepend, precompiled, part("Nmt")), cut),
            (norm(prepend, part("ByteLevel")), scripts),
            (prepend, lengths, metaspace("first"), lengths),
            (prepend, cut, byte_level(prefix=True, regex=False), lengths),
            (norm(part("Replace", pattern={"String": "Q"},
                       content="  Z\u00fcrichab"), strip), lengths),
            (precompiled, cut)]):
        yield f"all that is first, {i}", "unigram", normalizer, pre(
            *before, metaspace("first")), None


def make_all(strings):
    models = {"bytes": byte_level_model(strings), "plain": plain_model(strings),
              "affix": affix_model(strings), "unigram": unigram_model(strings),
              "wordpiece": wordpiece_model(strings)}
    models["wordlevel"] = wordlevel_model(tokenizer_oracle.Strings(12))
    for name, model, normalizer, pretokenizer, processor in [
            *variants(models), *more_variants()]:
        base = model
        if isinstance(model, dict):
            options = dict(model)
            base = options.pop("base", "bytes")
            made = {**models[base]}
            if options.pop("bytes", False):
                made["vocab"] = made["vocab"] + [
                    [f"<0x{b:02X}>", -20.0] for b in range(256)]
            model = {**made, **options}
        yield name, {
            "version": "1.0", "truncation": None, "padding": None,
            "added_tokens": SPECIALS, "normalizer": normalizer,
            "pre_tokenizer": pretokenizer, "post_processor": processor,
            "decoder": None,
            "model": models[model] if isinstance(model, str) else model
        }, base


def texts_of(strings, count, vocab):
    chosen = strings.random
    texts = [strings.one() for _ in range(count)]
    texts += ["".join(chosen.choice([
        chosen.choice(SPECIALS)["content"], chosen.choice(vocab), " ", "\n",
        "``", "\u00a9\u200d", "\u0600", "\r\n", strings.one(), "askSKJ\u017f",
        "abc", "acc", "aab", "'LL", "'s", "1234", *EXTRA])
        for _ in range(chosen.randint(1, 6))) for _ in range(count // 2)]
    return texts


def write(path_or_none):
    strings = tokenizer_oracle.Strings(11)
    rows, used = [], {}
    for name, tokenizer, base in make_all(strings):
        judge = Tokenizer.from_str(json.dumps(tokenizer))
        count = 4 if name[:5] in ("split", "repla") else 12
        texts = texts_of(strings, count, sorted(judge.get_vocab()))
        texts = [text[:200] for text in texts] + EXTRA + [""]
        if name.startswith("begins otherwise"):
            texts = BEGINNINGS
        if name.startswith("all that is first"):
            texts = BEGINNINGS + MORE_BEGINNINGS
        ids = [e.ids for e in judge.encode_batch(texts)]
        small = {k: v for k, v in tokenizer.items() if v is not None}
        del small["added_tokens"], small["version"]
        if base in used:
            small["model"] = {k: v for k, v in tokenizer["model"].items()
                              if used[base].get(k) != v}
        else:
            used[base] = tokenizer["model"]
        rows.append({"name": name, "base": base, "tokenizer": small,
                     "texts": texts, "ids": ids})
    text = json.dumps({"added_tokens": SPECIALS, "tokenizers": rows},
                      separators=(",", ":")).replace('{"name"', '\n{"name"')
    if path_or_none:
        path_or_none.write_text(text + "\n", "utf-8")
    return text + "\n"


def hold(command, name, document, texts):
    judge = Tokenizer.from_str(document)
    judge.no_truncation()
    judge.no_padding()
    wanted = [(e.ids, 0) for e in judge.encode_batch_fast(texts)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(document)
        file.flush()
        words = [w.replace("{path}", file.name) for w in shlex.split(command)]
        lines = "".join(json.dumps(text) + "\n" for text in texts)
        done = subprocess.run(words, input=lines.encode(), check=False,
                              capture_output=True)
    if done.returncode:
        print(f"{name}: status {done.returncode}: {done.stderr.decode()}")
        return 1
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    wrong = tokenizer_oracle.compare(name, answers, wanted, texts)
    print(f"{name}: {len(texts)} texts, {sum(len(i) for i, _ in wanted)} tokens"
          f", {wrong} differ", flush=True)
    return wrong


def compare_all(options):
    strings = tokenizer_oracle.Strings(options.seed)
    documents = []
    if not options.real:
        documents = [(name, json.dumps(tokenizer)) for name, tokenizer, _ in
                     make_all(tokenizer_oracle.Strings(11))
                     if not options.only or options.only in name]
    for path in options.real:
        data = pathlib.Path(path).read_bytes()
        data = gzip.decompress(data) if path.endswith(".gz") else data
        documents.append((path, data.decode()))
    chunks = list(tokenizer_oracle.chunk_texts(options.chunks)
                  if options.chunks else [])
    wrong = total = 0
    for name, document in documents:
        judge = Tokenizer.from_str(document)
        vocab = sorted(judge.get_vocab())
        texts = chunks + texts_of(strings, options.count * 2 // 3, vocab)
        texts += [strings.big() for _ in range(1 + options.count // 20000)]
        wrong += hold(options.command, name, document, texts)
        total += len(texts)
    print(f"{len(documents)} tokenizers, {total} texts: {wrong} differences")
    sys.exit(1 if wrong else 0)


def main():
    parser = tokenizer_oracle.reference_parser(__doc__)
    parser.add_argument("--real", nargs="*", default=[])
    parser.add_argument("--chunks")
    parser.add_argument("--only", help="tokenizers with this in their name")
    options = parser.parse_args()
    tokenizer_oracle.made_with(tokenizers, unicode_tables.PINNED)
    if options.command:
        compare_all(options)
    changed = not FIXTURE.exists() or FIXTURE.read_text("utf-8") != write(None)
    if changed and not options.check:
        write(FIXTURE)
    verb = "would change" if options.check else "wrote"
    print(f"{verb} {FIXTURE.name}" if changed else "parts.json is as it would be")
    sys.exit(1 if changed and options.check else 0)


if __name__ == "__main__":
    main()
