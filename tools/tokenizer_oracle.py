#!/usr/bin/env python3
"""Hold a tokenizer command against Hugging Face's `tokenizers`.

    python3 tools/tokenizer_oracle.py --model DIR --command \\
        'build/test_text_tokenizer --tokenize {model}/tokenizer.json {limit}'
    python3 tools/tokenizer_oracle.py --model DIR --command \\
        'build/ensembed tokenize --model {model}'

The command reads JSON strings, one a line, and writes one {"ids": [...],
"truncated": N} a line. {model} becomes a folder with the tokenizer.json that
is being compared, {limit} the limit (0: none). DIR is a folder with a BERT
tokenizer.json; from it variants are made in which every option is turned, and
each is compared on all generated strings and on the texts of --chunks.

The strings come from a seed. Exit status 1 on any difference.
"""

import argparse
import json
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import Tokenizer

WORDS = """the of and embedding tokenizer Straße ÉCOLE naïve İstanbul ΣΊΣΥΦΟΣ
ὈΔΥΣΣΕΎΣ Привет мир ЙОД こんにちは 世界 漢字かな交じり 한국어 각 สวัสดี ภาษาไทย עִבְרִית
العَرَبِيَّة हिन्दी বাংলা தமிழ் ქართული Հայերեն አማርኛ tiếng Việt ﬁle Ⅷ ½ ㎏ K Å Ω
don't e-mail C++ x=y; self.assertEqual( {} ) -> <div> $x^2$ 3.14159 1,000,000
unbelievably antidisestablishmentarianism supercalifragilistic ##ing ## [ ]
""".split()
LOOKALIKES = ["[CLS]", "[cls]", "x[MASK]y", "  [SEP] ", "[SEP", "[[SEP]]",
              "[UNK]", "[PAD]", "[MASK]", "[ MASK ]", "[mask]", "[CLS][SEP]",
              "\t[MASK]\n", "\u3000[MASK]\u00a0", "é[SEP]é", "_[SEP]_",
              "[MASK]\u0301", "Foo Bar", "foo  bar", "FOO BAR", "xfoo bar",
              "foo bar\u0301", "tag-a", "TAG-A", "xtag-a", "tag-ax", "tag-a-b",
              " lefty ", "  righty  x", "both", "  both  ", "\u2003both\u2003",
              "zürich", "zu\u0308rich", "ZÜRICH", "中文", "中 文", "x中文x",
              "<|ab|>", "<|ab|>c", "<|ab", "  spaced x", "righty   spaced",
              "end lefty", "END  both", "end x", "_zürich", "zürich_",
              "STRAßENBAHNEN", "straßenbahnenx", "\u017ftraßenbahnen"]
JOINERS = ["\u200d", "\ufe0f", "\ufe0e", "\u200c", "\u20e3", "\U0001f3fb",
           "\U0001f3ff", "\U000e0067", "\U000e007f"]
EMOJI = ["\U0001f468", "\U0001f469", "\U0001f467", "\u2764", "\U0001f525",
         "\U0001f1e9", "\U0001f1ea", "\U0001f3f4", "\u261d", "1", "#",
         "\U0001fae8", "\U0001f9d1"]
RTL = ["\u202e", "\u202b", "\u200f", "\u061c", "\u2067", "\u2069", "ש", "ל",
       "ם", "ع", "ر", "ب", "\u064b", "\u0651", "\u05b0"]
ODD = ["\0", "\x01", "\x07", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\x80",
       "\x85", "\x9f", "\u00ad", "\u180e", "\u2028", "\u2029", "\ufeff",
       "\ufffd", "\ufffe", "\uffff", "\ufdd0", "\U0001ffff", "\U0010ffff",
       "\ue000", "\U000f0000", "\u0378", "\u200b", "\u2060", "\u0345"]


class Strings:
    """Generated strings; the same seed gives the same ones."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.categories = {}
        for code in range(0x110000):
            if not 0xD800 <= code <= 0xDFFF:
                kind = unicodedata.category(chr(code))
                self.categories.setdefault(kind, []).append(code)
        self.marks = [chr(c) for kind in ("Mn", "Mc", "Me")
                      for c in self.categories[kind]]
        self.decomposed = [chr(c) for c in range(0x30000) if not
                           0xD800 <= c <= 0xDFFF and
                           unicodedata.decomposition(chr(c))]
        self.kinds = [self.category, self.any, self.marked, self.chinese,
                      self.hangul, self.emoji, self.right_to_left, self.odd,
                      self.long_word, self.lookalike, self.words, self.ascii]

    def some(self, pool, low=1, high=8):
        count = self.random.randint(low, high)
        return "".join(self.random.choice(pool) for _ in range(count))

    def category(self):
        kind = self.random.choice(sorted(self.categories))
        return self.some([chr(c) for c in self.random.sample(
            self.categories[kind], min(8, len(self.categories[kind])))])

    def any(self):
        codes = [self.random.randrange(0x110000) for _ in range(6)]
        return "".join(chr(c) for c in codes if not 0xD800 <= c <= 0xDFFF)

    def marked(self):
        base = self.random.choice([*"aeEz ", "가", "क", "中",
                                   *self.random.sample(self.decomposed, 3)])
        return base + self.some(self.marks, 1, 7)

    def chinese(self):
        ranges = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF),
                  (0x20000, 0x2FA1F), (0x3000, 0x30FF), (0x9FE0, 0xA010)]
        return self.some([chr(self.random.randint(*self.random.choice(ranges)))
                          for _ in range(4)])

    def hangul(self):
        ranges = [(0xAC00, 0xD7A3), (0x1100, 0x11FF), (0xA960, 0xA97F),
                  (0xD7B0, 0xD7FF), (0x3130, 0x318F)]
        return self.some([chr(self.random.randint(*self.random.choice(ranges)))
                          for _ in range(4)])

    def emoji(self):
        return "".join(self.random.choice(EMOJI) +
                       self.random.choice(["", *JOINERS]) for _ in range(4))

    def right_to_left(self):
        return self.some(RTL, 2, 10)

    def odd(self):
        return self.some([*ODD, "a", "B", " "], 1, 6)

    def long_word(self):
        unit = self.random.choice(["a", "Ab", "é", "e\u0301", "x1", "ß", "각",
                                   "\U0001d165", "\u302e\u1baa", "ing"])
        count = self.random.choice([33, 49, 50, 51, 99, 100, 101, 102, 250])
        return unit * count + self.random.choice(["", "s", ".", "é", "\u0301"])

    def lookalike(self):
        return self.some([*LOOKALIKES, *LOOKALIKES, " ", "x", "-"], 1, 4)

    def words(self):
        return self.random.choice([" ", "  ", "", "\n", "_", "-"]).join(
            self.random.choice(WORDS) for _ in range(self.random.randint(1, 6)))

    def ascii(self):
        return "".join(chr(self.random.randrange(128))
                       for _ in range(self.random.randint(1, 24)))

    def one(self):
        return "".join(self.random.choice(self.kinds)() + self.random.choice(
            ["", "", " "]) for _ in range(self.random.randint(1, 5)))

    def big(self):
        """Texts of many windows, so that what crosses their edges is seen."""
        parts = [self.one() for _ in range(self.random.randint(1000, 4000))]
        return self.random.choice(["", " ", "a"]).join(parts)

    def list(self, count):
        return ([self.one() for _ in range(count)] +
                [self.big() for _ in range(max(2, count // 5000))] +
                [unit * 30000 for unit in ("a", "é", " ", "[", "\u302e\u1baa",
                                           "foo ", "中", "a\u0301")])


def added(content, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": False, **flags}


def with_options(**options):
    def change(tokenizer):
        tokenizer["normalizer"].update(options)
    return change


def with_tokens(*tokens):
    def change(tokenizer):
        free = len(tokenizer["model"]["vocab"])
        for token in tokens:
            known = tokenizer["model"]["vocab"].get(token["content"])
            token = {**token, "id": free if known is None else known}
            free += known is None
            tokenizer["added_tokens"].append(token)
    return change


def with_flags(**flags):
    def change(tokenizer):
        for token in tokenizer["added_tokens"]:
            token.update(flags)
    return change


def bert_processing(tokenizer):
    ids = tokenizer["model"]["vocab"]
    tokenizer["post_processor"] = {"type": "BertProcessing",
                                   "sep": ["[SEP]", ids["[SEP]"]],
                                   "cls": ["[CLS]", ids["[CLS]"]]}


def no_parts(tokenizer):
    tokenizer["normalizer"] = None
    tokenizer["post_processor"] = None


def wordpiece(**options):
    def change(tokenizer):
        tokenizer["model"].update(options)
    return change


def all_of(*changes):
    def change(tokenizer):
        for one in changes:
            one(tokenizer)
    return change


EXTRA = with_tokens(
    added("Foo Bar", normalized=True),
    added("tag-a", single_word=True), added("Tag-A-B", normalized=True),
    added("lefty", lstrip=True), added("righty", rstrip=True),
    added("both", lstrip=True, rstrip=True, special=True),
    added("Zürich", normalized=True, single_word=True),
    added("中文", normalized=True), added("<|ab|>"), added("<|ab|>c"),
    added(" spaced", normalized=True, single_word=True),
    added("Straßenbahnen", normalized=True, single_word=True),
    added("End ", normalized=True), added(" spaced x"), added("x-", normalized=True, lstrip=True, rstrip=True))

VARIANTS = {
    "as it is": lambda tokenizer: None,
    "cased": with_options(lowercase=False),
    "cased, strip_accents": with_options(lowercase=False, strip_accents=True),
    "lowercase, accents kept": with_options(strip_accents=False),
    "strip_accents true": with_options(strip_accents=True),
    "no chinese": with_options(handle_chinese_chars=False),
    "no clean_text": with_options(clean_text=False),
    "no clean_text, cased": with_options(clean_text=False, lowercase=False),
    "strip only": with_options(clean_text=False, lowercase=False,
                               handle_chinese_chars=False, strip_accents=True),
    "BertProcessing": bert_processing,
    "neither normalizer nor post_processor": no_parts,
    "extra tokens": EXTRA,
    "extra tokens, cased": all_of(EXTRA, with_options(lowercase=False)),
    "extra tokens, no clean_text": all_of(EXTRA,
                                          with_options(clean_text=False)),
    "specials normalized": with_flags(normalized=True),
    "specials single_word": with_flags(single_word=True),
    "specials lstrip and rstrip": with_flags(lstrip=True, rstrip=True),
    "short words": wordpiece(max_input_chars_per_word=4),
    "no words": wordpiece(max_input_chars_per_word=0),
    "no prefix": wordpiece(continuing_subword_prefix=""),
    "prefix that nobody has": wordpiece(continuing_subword_prefix="\u0ca0"),
}


def chunk_texts(folder):
    def walk(value):
        if isinstance(value, dict):
            text = value.get("text", value.get("content"))
            if isinstance(text, str):
                yield text
                return
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from walk(item)

    for path in sorted(pathlib.Path(folder).rglob("*_chunks.json")):
        yield from walk(json.loads(path.read_text("utf-8")))


def make_model(model, change, folder, limit):
    shutil.copytree(model, folder, symlinks=False,
                    copy_function=lambda a, b: pathlib.Path(b).symlink_to(
                        pathlib.Path(a).resolve()))
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    tokenizer.update(truncation=None, padding=None)
    change(tokenizer)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    # A class that takes tokenizer.json as it is: BertTokenizer would put its own
    # settings over it.
    settings = folder / "tokenizer_config.json"
    kept = json.loads(settings.read_text()) if settings.exists() else {}
    settings.unlink(missing_ok=True)
    settings.write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast",
         **{k: v for k, v in kept.items() if k == "model_max_length"}}))
    for name in ("special_tokens_map.json", "added_tokens.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    settings = folder / "sentence_bert_config.json"
    if limit and settings.exists():
        settings.unlink()
        settings.write_text(json.dumps({"max_seq_length": limit}))


def ask(command, folder, limit, texts):
    words = [word.replace("{model}", str(folder)).replace("{limit}", str(limit))
             for word in shlex.split(command)]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(words, input=lines.encode(), stdout=subprocess.PIPE,
                          check=False)
    if done.returncode:
        sys.exit(f"{words[0]} failed with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def expected(folder, limit, texts):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = tokenizer.num_special_tokens_to_add(False)
    whole = [e.ids for e in tokenizer.encode_batch_fast(texts)]
    if not limit:
        return [(ids, 0) for ids in whole]
    tokenizer.enable_truncation(limit)
    cut = [e.ids for e in tokenizer.encode_batch_fast(texts)]
    return [(ids, max(0, len(all_ids) - special - (limit - special)))
            for ids, all_ids in zip(cut, whole)]


def compare(name, answers, wanted, texts):
    wrong = 0
    for text, answer, (ids, cut) in zip(texts, answers, wanted):
        if answer["ids"] == ids and answer["truncated"] == cut:
            continue
        wrong += 1
        if wrong <= 3:
            at = next((i for i, pair in enumerate(zip(answer["ids"], ids))
                       if pair[0] != pair[1]), "the end")
            print(f"{name}: differs at {at}: {ascii(text[:200])}\n"
                  f"  got      {answer['ids'][:40]} cut {answer['truncated']}\n"
                  f"  expected {ids[:40]} cut {cut}")
    if len(answers) != len(texts):
        print(f"{name}: {len(answers)} lines for {len(texts)} texts")
        wrong += abs(len(texts) - len(answers))
    return wrong


def made_with(package, version):
    """References are of one version of a package: leave with any other."""
    if package.__version__ != version:
        sys.exit(f"{package.__name__} {package.__version__} is installed, "
                 f"{version} is what the reference is made with")


def reference_parser(text):
    """Options of a program that makes a reference, or holds a command to it."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--command")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--command", required=True)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--chunks", help="a folder of *_chunks.json files")
    parser.add_argument("--count", type=int, default=50000)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variant", action="append", choices=VARIANTS,
                        help="only this one (repeatable)")
    options = parser.parse_args()
    chunks = list(chunk_texts(options.chunks)) if options.chunks else []
    texts = chunks + Strings(options.seed).list(options.count)
    wrong = tokens = 0
    names = options.variant or list(VARIANTS)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder) / "model"
            make_model(options.model, VARIANTS[name], folder, options.limit)
            wanted = expected(folder, options.limit, texts)
            answers = ask(options.command, folder, options.limit, texts)
        differ = compare(name, answers, wanted, texts)
        count = sum(len(ids) for ids, _ in wanted)
        print(f"{name}: {len(texts)} texts, {count} tokens, {differ} differ",
              flush=True)
        wrong += differ
        tokens += count
    print(f"{len(names)} variants x ({len(chunks)} chunks + "
          f"{len(texts) - len(chunks)} generated strings), {tokens} tokens: "
          f"{wrong} differences")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
