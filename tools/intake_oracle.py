#!/usr/bin/env python3
"""Reads chunk files the plain way and compares with ensembed's own reading.

    tools/intake_oracle.py --compare build/test_data_chunk_oracle FOLDER
                           [OPTION ...]
    tools/intake_oracle.py --generate FOLDER [SEED]   odd chunk files
    tools/intake_oracle.py --make                     tests/fixtures/chunks

Everything is worked out from the definitions with Python's own json, hashlib
and uuid, whole files in memory: which files and collections there are, ids,
point ids, digests, duplicates, blanks, the bytes of the metadata, the derived
fields. The output has the form of `test_data_chunk_oracle --dump`. OPTION is
one of as=NAME, only=NAME, collapse, trim=N and (for the program alone) read=N.
"""

import hashlib
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import uuid

# Unicode's White_Space.
WHITE = "".join(map(chr, [*range(9, 14), 32, 0x85, 0xA0, 0x1680,
                          *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
                          0x205F, 0x3000]))
SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "ensembed")
DECODER = json.JSONDecoder()
JSON_SPACE = " \t\r\n"


class Wrong(Exception):
    """A chunk that is none."""


def no_constant(name):
    raise json.JSONDecodeError("no JSON", name, 0)


STRICT = json.JSONDecoder(parse_constant=no_constant)


# ---- values as the text that came ----


def skip(text, at):
    while at < len(text) and text[at] in JSON_SPACE:
        at += 1
    return at


def parts(text):
    """(key, value text, offset) of an object's members or a list's elements."""
    at = skip(text, 1)
    found = []
    while text[at] not in "}]":
        key = None
        if text[0] == "{":
            key, at = DECODER.raw_decode(text, at)
            at = skip(text, skip(text, at) + 1)
        _, end = DECODER.raw_decode(text, at)
        found.append((key, text[at:end], at))
        at = skip(text, end)
        if text[at] == ",":
            at = skip(text, at + 1)
    return found


def raw_key(text, wanted):
    """The members of the object TEXT with their keys as they came."""
    at = skip(text, 1)
    for key, value, begin in parts(text):
        _, end = DECODER.raw_decode(text, at)
        if key not in wanted:
            yield text[at:end], key, value
        at = skip(text, begin + len(value))
        if text[at] == ",":
            at = skip(text, at + 1)


def compact(text):
    return "".join(p if p.startswith('"') else re.sub("[ \t\r\n]", "", p)
                   for p in re.split(r'("(?:[^"\\]|\\.)*")', text))


HIGH, LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
ESCAPE = re.compile(rf"{HIGH}{LOW}|({HIGH}|{LOW})|\\.")


def mend(text):
    """Lone surrogate escapes as \\ufffd, and how many there were."""
    lone = 0

    def one(match):
        nonlocal lone
        if match.group(1) is None:
            return match.group(0)
        lone += 1
        return "\\ufffd"

    return ESCAPE.sub(one, text), lone


def quote(text):
    return json.dumps(text, ensure_ascii=False)


# ---- one chunk ----


def number_or_word(text):
    """An id from a value's text, or None."""
    value = DECODER.decode(text)
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return text


def chunk_parts(text):
    """original, metadata text, own id or None."""
    if text[0] == '"':
        return DECODER.decode(text), "{}", None
    last = {key: value for key, value, _ in parts(text)}
    name = "text"
    if last.get("text", "null") == "null" and "content" in last:
        name = "content"
    if name not in last or last[name][0] != '"':
        raise Wrong
    original = DECODER.decode(last[name])
    metadata = last.get("metadata", "null")
    own, used = None, None
    if metadata[0] == "{":
        inner = {key: value for key, value, _ in parts(metadata)}
        own = number_or_word(inner.get("chunk_id", "null"))
    for key in ("chunk_id", "id"):
        if own is None:
            own = number_or_word(last.get(key, "null"))
            used = key if own is not None else None
    if metadata[0] != "{":
        gone = {name, used}
        if last.get("metadata") is not None:
            gone |= {"metadata"} if metadata == "null" else set()
        members = []
        for raw, key, value in raw_key(text, gone):
            members.append(raw + ":" + value)
        metadata = "{" + ",".join(members) + "}"
    return original, metadata, own


def apply_options(text, options):
    if options.get("collapse"):
        text = re.sub(f"[{WHITE}]+", " ", text)
    trim = int(options.get("trim", 0))
    if trim and len(text) > trim:
        text = text[:trim] + "..."
    return text


# ---- derived fields ----


def words(value):
    return isinstance(value, str) and value.strip(WHITE) != ""


def modal_hint(meta, text):
    if words(meta.get("modal_hint")):
        return meta["modal_hint"]
    flags = meta.get("content_flags")
    for flag, hint in (("has_table", "table"), ("has_code_block", "code"),
                       ("has_list", "list"), ("has_json", "json")):
        if isinstance(flags, dict) and flags.get(flag) is True:
            return hint
    look = text[:400].lower()
    if "```" in look or "def " in look or "class " in look:
        return "code"
    lines = look.split("\n")
    for row, rule in zip(lines, lines[1:]):
        if "|" in row and re.fullmatch(r"[-|: \t\r]*", rule) \
                and "-" in rule and "|" in rule:
            return "table"
    return "json" if look.strip(" \t\r\n")[:1] in ("{", "[") else "prose"


def hierarchy_path(meta):
    for key in ("hierarchy_path", "section_path", "heading_text"):
        value = meta.get(key)
        if words(value):
            return value
        if isinstance(value, list) and any(map(words, value)):
            return " > ".join(filter(words, value))
    return None


def real(x):
    return repr(float(x))


def sparse_vector(meta, raw):
    features = meta.get("sparse_features")
    weights = features.get("term_weights") if isinstance(features, dict) else None
    usable = []
    for entry in weights if isinstance(weights, list) else []:
        weight = entry.get("weight") if isinstance(entry, dict) else None
        if (isinstance(weight, (int, float)) and not isinstance(weight, bool)
                and 0 < weight < math.inf
                and isinstance(entry.get("term"), str) and entry["term"]):
            usable.append((entry["term"], float(weight)))
    if not usable:
        return "null"
    largest = max(w for _, w in usable)
    total = 0.0
    for _, w in usable:
        total += (w / largest) * (w / largest)
    norm = largest * math.sqrt(total)
    stats = {}
    for key, value, _ in parts(raw):
        if key == "sparse_features":
            stats = {k: v for k, v, _ in parts(value)}
    ints = [str(int(hashlib.sha1(t.encode()).hexdigest()[:8], 16))
            for t, _ in usable]

    def stat(key, kinds):
        value = stats.get(key, "null")
        decoded = DECODER.decode(value)
        fits = isinstance(decoded, kinds) and not isinstance(decoded, bool)
        value = quote(decoded) if isinstance(decoded, str) else value
        return f'"{key}":{value if fits else "null"}'

    return ('{"indices":[' + ",".join(ints)
            + '],"values":[' + ",".join(real(w / norm) for _, w in usable)
            + '],"tokens":[' + ",".join(quote(t) for t, _ in usable)
            + '],"stats":{"weight_norm":' + real(norm)
            + "," + stat("unique_terms", (int, float))
            + "," + stat("total_terms", (int, float))
            + "," + stat("weighting", str) + "}}")


OURS = ["text", "chunk_id", "collection", "qdrant_collection", "modal_hint",
        "hierarchy_path", "sparse_vector"]


def payload(original, chunk_id, collection, metadata):
    meta = DECODER.decode(metadata)
    members = [f'"text":{quote(original)}', f'"chunk_id":{quote(chunk_id)}',
               f'"collection":{quote(collection["name"])}']
    for raw, key, value in raw_key(metadata, OURS):
        members.append(raw + ":" + compact(value))
    hint = modal_hint(meta, original)
    path = hierarchy_path(meta)
    members.append(f'"qdrant_collection":{quote(collection["canonical"])}')
    members.append('"modal_hint":' + quote(hint))
    members.append('"hierarchy_path":' + ("null" if path is None
                                          else quote(path)))
    members.append('"sparse_vector":' + sparse_vector(meta, metadata))
    return "{" + ",".join(members) + "}"


# ---- files and collections ----


def canonical(name):
    name = re.sub("[- ]", "_", name.strip(" \t\r\n").lower())
    if name.endswith("_v4_outputs") and name != "_v4_outputs":
        name = name[:-len("_v4_outputs")]
    for word, known in (("qdrant", "qdrant_ecosystem"),
                        ("sentence_transformer", "sentence_transformers"),
                        ("sentence", "sentence_transformers"),
                        ("docling", "docling"), ("fast_docs", "fast_docs"),
                        ("pydantic", "pydantic")):
        if word in name:
            return known
    return name or "qdrant_ecosystem"


def folder_of(name):
    return re.sub("[^A-Za-z0-9_-]", "_", name).strip("_") or "collection"


def chunk_files(root):
    found = []
    for base, folders, names in os.walk(root):
        folders[:] = [f for f in folders
                      if f not in ("__pycache__", ".git", ".ensembed")]
        for name in names:
            low = name.lower()
            if low == "processing_summary.json" \
                    or low.endswith("_processing_summary.json"):
                continue
            if low.endswith((".json", ".jsonl", ".ndjson")):
                path = os.path.join(base, name)
                found.append((os.path.relpath(path, root), path))
    return sorted(found, key=lambda f: f[0].encode())


def collections(root, options):
    files = chunk_files(root)
    groups = {}
    whole = options.get("as") or any("/" not in rel for rel, _ in files)
    for rel, path in files:
        if whole:
            name = options.get("as") or os.path.basename(os.path.realpath(root))
        else:
            name, rel = rel.split("/", 1)
        groups.setdefault(name, []).append((rel, path))
    only = options.get("only")
    out = [{"name": n, "canonical": canonical(n), "folder": folder_of(n),
            "files": f} for n, f in groups.items() if not only or n in only]
    return sorted(out, key=lambda c: c["name"].encode())


class Reading:
    """One collection as it is read."""

    def __init__(self, collection, options):
        self.collection = collection
        self.options = options
        self.counts = dict.fromkeys(
            ["files", "files_failed", "lines_failed", "found", "points",
             "unique", "duplicate", "blank", "failed", "repeated_ids",
             "surrogates", "bytes", "text_bytes", "text_bytes_longest"], 0)
        self.problems = []
        self.ids = {}
        self.occurrences = {}
        self.texts = set()
        self.lines = []

    def problem(self, rel, line, column, code, failed):
        self.problems.append(
            f'{{"file":{quote(rel)},"line":{line},"column":{column},'
            f'"code":"{code}","failed":{"true" if failed else "false"}}}')

    def unique_id(self, chunk_id):
        if chunk_id not in self.ids:
            self.ids[chunk_id] = 1
            return chunk_id, False
        number = self.ids[chunk_id] + 1
        while f"{chunk_id}#{number}" in self.ids:
            number += 1
        self.ids[chunk_id] = number
        self.ids[f"{chunk_id}#{number}"] = 1
        return f"{chunk_id}#{number}", True

    def chunk(self, rel, raw, line, column):
        counts = self.counts
        counts["found"] += 1
        raw, lone = mend(raw)
        self.surrogates += lone
        try:
            original, metadata, own = chunk_parts(raw)
        except Wrong:
            counts["failed"] += 1
            return self.problem(rel, line, column, "bad_chunk", True)
        text = apply_options(original, self.options)
        if not text.strip(WHITE):
            counts["blank"] += 1
            return self.problem(rel, line, column, "blank_chunk", False)
        if own is None:
            base = rel + "\x1f" + hashlib.sha256(
                original.encode()).hexdigest()[:16]
            self.occurrences[base] = self.occurrences.get(base, 0) + 1
            own = f"{base}\x1f{self.occurrences[base]}"
        chunk_id, repeated = self.unique_id(own)
        digest = hashlib.sha256(text.encode()).hexdigest()
        duplicate = digest in self.texts
        self.texts.add(digest)
        counts["points"] += 1
        counts["duplicate" if duplicate else "unique"] += 1
        size = len(text.encode())
        counts["text_bytes"] += size
        counts["text_bytes_longest"] = max(counts["text_bytes_longest"], size)
        name = self.collection["name"]
        point = uuid.uuid5(SPACE, f"{name}\x1f{chunk_id}")
        self.lines.append(
            f'{{"collection":{quote(name)},"file":{quote(rel)},'
            f'"chunk_id":{quote(chunk_id)},"id":"{point}",'
            f'"digest":"{digest}","duplicate":{"true" if duplicate else "false"}'
            f',"text":{quote(text)},"metadata":{quote(metadata)},"payload":'
            + payload(original, chunk_id, self.collection, metadata) + "}")
        if repeated:
            counts["repeated_ids"] += 1
            self.problem(rel, line, column, "repeated_id", False)

    def element(self, rel, raw, line, column):
        if raw[0] in '{"':
            self.bare += raw[0] == '"'
            return self.chunk(rel, raw, line, column)
        self.counts["found"] += 1
        self.counts["failed"] += 1
        self.problem(rel, line, column, "bad_shape", True)

    def document(self, rel, data):
        text = data.decode("utf-8-sig")
        if not data:
            self.problem(rel, 0, 0, "broken_file", True)
            return False
        try:
            STRICT.decode(text)
        except json.JSONDecodeError as e:
            self.problem(rel, e.lineno, e.colno, "broken_file", True)
            return False
        begin = skip(text, 0)
        body = text[begin:].rstrip(JSON_SPACE)
        if body[0] == "{":
            last = {k: (v, at) for k, v, at in parts(body)}
            for key in ("chunks", "data", "records", "items"):
                if key in last and last[key][0][0] == "[":
                    body, at = last[key]
                    begin += at
                    break
        elements = parts(body) if body[0] == "[" else [(None, body, 0)]
        if body[0] not in '[{"':
            self.problem(rel, 0, 0, "bad_shape", True)
            return False
        for _, raw, at in elements:
            before = text[:begin + at]
            line = before.count("\n") + 1
            self.element(rel, raw, line,
                         len(before) - (before.rfind("\n") + 1) + 1)
        return True

    def json_lines(self, rel, data):
        data = data.removeprefix(b"\xef\xbb\xbf")
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line.strip(b" \t\r"):
                continue
            try:
                text = line.decode()
                STRICT.decode(text)
            except json.JSONDecodeError as e:
                self.counts["lines_failed"] += 1
                self.problem(rel, number, e.colno, "broken_line", True)
                continue
            begin = skip(text, 0)
            raw = text[begin:].rstrip(JSON_SPACE)
            if raw[0] in '{"':
                self.chunk(rel, raw, number, begin + 1)
            else:
                self.counts["lines_failed"] += 1
                self.problem(rel, number, 1, "bad_shape", True)
        return True

    def file(self, rel, path):
        with open(path, "rb") as f:
            data = f.read()
        self.bare = self.surrogates = 0
        self.counts["files"] += 1
        self.counts["bytes"] += len(data)
        found = self.counts["found"]
        lines = rel.lower().endswith(("l", "ndjson"))
        fine = (self.json_lines if lines else self.document)(rel, data)
        if not fine:
            self.counts["files_failed"] += 1
        elif found == self.counts["found"]:
            self.problem(rel, 0, 0, "no_chunks", False)
        if self.surrogates:
            self.counts["surrogates"] += self.surrogates
            self.problem(rel, 0, 0, "lone_surrogate", False)
        if self.bare and not lines:
            self.problem(rel, 0, 0, "bare_string", False)

    def totals(self):
        c = self.collection
        counts = ",".join(f'"{k}":{v}' for k, v in self.counts.items())
        return (f'{{"collection":{quote(c["name"])},"folder":"{c["folder"]}",'
                f'"canonical":{quote(c["canonical"])},{counts},"problems":['
                + ",".join(self.problems[:1000]) + "]}")


def read(root, options):
    out = []
    for collection in collections(root, options):
        reading = Reading(collection, options)
        for rel, path in collection["files"]:
            reading.file(rel, path)
        out += reading.lines + [reading.totals()]
    return "".join(line + "\n" for line in out)


# ---- odd chunk files ----

PIECES = ["plain words ", "  ", "\n", "\t", "é", "日本語 ", "😀", "👩\u200d👧 ",
          "\u0301", "\u200b", "\u3000", "\x00", "\x7f", "\\", '"', "/", "def f(",
          "class A ", "```\n", "| a | b |\n|---|:-:|\n", "{", "[", "\u2028",
          "\ufeff", "\x85", "مرحبا ", "x" * 300]
NUMBERS = ["0", "-0", "0.1", "0.10000000000000001", "1e400", "-1E-400", "1e+2",
           "123456789012345678901234567890", "5.0", "1e20", "0.30000000000000004"]


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def words(self):
        return "".join(self.r.choices(PIECES, k=self.r.randint(0, 12)))

    def string(self, text=None):
        """TEXT as JSON, each character escaped in one of the possible ways."""
        out = []
        for c in self.words() if text is None else text:
            code = c.encode("utf-16-be")
            units = [code[i:i + 2].hex() for i in range(0, len(code), 2)]
            short = {"\n": "n", "\t": "t", '"': '"', "\\": "\\", "/": "/"}.get(c)
            must = c in '"\\' or ord(c) < 32
            roll = self.r.random()
            if short and roll < 0.7:
                out.append("\\" + short)
            elif must or roll < 0.1:
                out.append("".join("\\u" + (u.upper() if roll < 0.05 else u)
                                   for u in units))
            else:
                out.append(c)
        if text is None and self.r.random() < 0.1:
            out.insert(self.r.randint(0, len(out)),
                       self.r.choice(["\\ud800", "\\uDFFF", "\\uDBFF\\n"]))
        return '"' + "".join(out) + '"'

    def gap(self):
        return self.r.choice(["", "", "", " ", "\n  ", "\r\n\t"])

    def join(self, opening, items, closing):
        return (opening + self.gap()
                + ("," + self.gap()).join(i + self.gap() for i in items)
                + closing)

    def value(self, depth=0):
        kind = self.r.randint(0, 7 if depth < 4 else 4)
        if kind < 2:
            return self.string()
        if kind < 4:
            return self.r.choice(NUMBERS)
        if kind == 4:
            return self.r.choice(["true", "false", "null"])
        if kind == 5:
            return self.join("[", [self.value(depth + 1) for _ in
                                   range(self.r.randint(0, 4))], "]")
        return self.object([(self.string(f"k{i}"), self.value(depth + 1))
                            for i in range(self.r.randint(0, 4))])

    def object(self, members):
        return self.join("{", [k + self.gap() + ":" + self.gap() + v
                               for k, v in members], "}")

    def weights(self):
        terms = [self.object([
            ('"term"', self.string(self.r.choice(["abc", "é", "x1", ""]))),
            ('"tf"', "3"),
            ('"weight"', self.r.choice(["0.488372", "0.046512", "1", "0", "-2",
                                        "null", "1e-3", "0.1"]))])
            for _ in range(self.r.randint(0, 6))]
        return self.object([
            ('"weighting"', self.r.choice(['"tf-normalized"', "null"])),
            ('"term_weights"', self.join("[", terms, "]")),
            ('"unique_terms"', "17"), ('"total_terms"', '"many"')])

    def maybe(self, chance, *members):
        return list(members) if self.r.random() < chance else []

    def metadata(self, number):
        r = self.r
        flags = self.object([(f'"{f}"', r.choice(["true", "false", "1"]))
                             for f in ("has_json", "has_list", "has_table")])
        members = (
            self.maybe(0.6, ('"chunk_id"', r.choice(
                [f'"c{number}"', str(number), '"same"', '""', "null", "[1]",
                 self.string()])))
            + self.maybe(0.3, ('"modal_hint"', r.choice(['"code"', '" "', "1",
                                                        '"pr\\u006fse"'])))
            + self.maybe(0.3, ('"content_flags"', flags))
            + self.maybe(0.4, ('"hierarchy_path"', r.choice(
                ['"A > B"', '""', '["x","","y"]', "7"])))
            + self.maybe(0.4, ('"section_path"', r.choice(
                ['["S1","S2"]', "[]", "[1,2]", '"S"'])))
            + self.maybe(0.3, ('"heading_text"', '"H"'))
            + self.maybe(0.5, ('"sparse_features"', self.weights()))
            + self.maybe(0.2, ('"text"', '"of the metadata"'))
            + self.maybe(0.2, ('"collection"', '"other"'))
            + [(self.string(f"m{i}"), self.value())
               for i in range(r.randint(0, 3))]
            + self.maybe(0.2, ('"m0"', '"again"')))
        r.shuffle(members)
        return self.object(members)

    def chunk(self, number):
        r = self.r
        if r.random() < 0.1:
            return self.string()
        text = self.string(r.choice(["", " \n ", "twice", "thrice"])) \
            if r.random() < 0.3 else self.string()
        members = ([(r.choice(['"text"', '"content"', '"te\\u0078t"']), text)]
                   if r.random() < 0.95 else [])
        members += self.maybe(0.1, ('"content"', self.value()))
        members += self.maybe(0.05, ('"text"', r.choice(["null", "7", "[]"])))
        if r.random() < 0.7:
            members.append(('"metadata"', self.metadata(number)))
        members += self.maybe(0.1, ('"metadata"', r.choice(["null", '"m"'])))
        members += self.maybe(0.2, ('"chunk_id"', r.choice(
            [f'"t{number}"', "null", "1.50"])))
        members += self.maybe(0.2, ('"id"', r.choice([str(number), '"i"'])))
        members += self.maybe(0.2, ('"advanced_scores"', self.value()))
        r.shuffle(members)
        return self.object(members)

    def document(self, count):
        r = self.r
        chunks = [self.chunk(i) for i in range(count)]
        if r.random() < 0.2:
            chunks.insert(r.randint(0, count), r.choice(["7", "null", "[]"]))
        text = self.gap() + self.join("[", chunks, "]")
        if r.random() < 0.3:
            members = [(f'"{k}"', v) for k, v in
                       (("chunks", r.choice([text, "3"])), ("items", text),
                        ("total", "4"))]
            r.shuffle(members)
            text = self.object(members)
        elif r.random() < 0.1:
            text = self.chunk(0)
        return r.choice(["", "", "\ufeff"]) + text + self.gap()

    def one_line(self, text):
        return re.sub("[\r\n]", " ", text)

    def json_lines(self, count):
        r = self.r
        lines = []
        for i in range(count):
            lines.append(self.one_line(self.chunk(i)))
            if r.random() < 0.15:
                lines.append(r.choice(["", "  ", "[]", "7", '{"a" 1}', "{,}",
                                       '{"text":"a"} x', '["a",']))
        return r.choice(["\n", "\r\n"]).join(lines) + r.choice(["", "\n"])


BROKEN = ['[{"text":"a"} {"text":"b"}]', '[{"text" "a"}]', '[{"text":"a"}',
          '[{"text":"a"},', '{"text":', "[1 2]", "[\n\n{'text':1}]", "[] x",
          "\n", '{"a":1\n', "[,]", "[] []"]


def generate(root, seed, files=24):
    g = Generator(seed)
    shutil.rmtree(root, ignore_errors=True)
    names = ["Docling", "my sentences", "été_v4_outputs", ".dots"]
    for i in range(files):
        folder = os.path.join(root, names[i % 4],
                              *g.r.choices(["a", "b.c", "é"], k=i % 3))
        os.makedirs(folder, exist_ok=True)
        roll = i % 6
        name = ["..odd_chunks.json", "x-chunks.json", "plain.json", "l.jsonl",
                "m.ndjson", "broken.json"][roll]
        count = g.r.randint(0, 9)
        text = (g.json_lines(count) if roll in (3, 4) else
                g.r.choice(BROKEN + [""]) if roll == 5 else g.document(count))
        with open(os.path.join(folder, f"{i}{name}" if roll else
                               f"..{i}{name}"), "wb") as f:
            f.write(text.encode())
    with open(os.path.join(root, "processing_summary.json"), "w") as f:
        f.write('{"chunks": [1]}')


def compare(program, root, words):
    options = {}
    for word in words:
        key, _, value = word.partition("=")
        if key == "only":
            options.setdefault("only", []).append(value)
        else:
            options[key] = value or True
    ours = subprocess.run([program, "--dump", root, *words], check=True,
                          capture_output=True).stdout.decode()
    want = read(root, options)
    if ours == want:
        points = want.count("\n") - want.count(',"problems":[')
        print(f"{root} {' '.join(words)}: {points} points, equal")
        return 0
    for n, (a, b) in enumerate(zip(ours.split("\n"), want.split("\n")), 1):
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y),
                      min(len(a), len(b)))
            print(f"line {n} differs at {at}:\n  got      "
                  f"{a[max(0, at - 150):at + 100]}\n  expected "
                  f"{b[max(0, at - 150):at + 100]}")
            break
    return 1


def main(arguments):
    home = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    if arguments[:1] == ["--compare"] and len(arguments) >= 3:
        return compare(arguments[1], arguments[2], arguments[3:])
    if arguments[:1] == ["--generate"] and len(arguments) >= 2:
        generate(arguments[1], int((arguments[2:] or ["1"])[0]))
        return 0
    if arguments[:1] == ["--make"]:
        folder = os.path.join(home, "tests/fixtures/chunks")
        generate(os.path.join(folder, "input"), 20)
        with open(os.path.join(folder, "expected.jsonl"), "w") as f:
            f.write(read(os.path.join(folder, "input"), {}))
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
